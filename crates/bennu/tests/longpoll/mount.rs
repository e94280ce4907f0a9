//! The options of a mount that concern long polling.

use super::*;

#[tokio::test]
async fn a_mount_without_the_option_has_no_long_polling() {
    let app = mount(&endpoint(), false);
    let refused = respond(&app, request(Method::GET, "/socket/longpoll?vsn=2.0.0", "")).await;
    assert_eq!(refused.http, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_cors_no_response_allows_other_sites_and_with_it_every_response_does() {
    for (cors, allowed) in [(true, Some("*")), (false, None)] {
        let app = mount(&endpoint(), LongPoll::default().cors(cors));
        for (method, uri) in [
            (Method::GET, "/socket/longpoll?vsn=2.0.0"),
            (Method::GET, "/socket/longpoll?vsn=7"),
            (Method::POST, "/socket/longpoll"),
            (Method::OPTIONS, "/socket/longpoll/"),
        ] {
            let response = respond(&app, request(method.clone(), uri, "")).await;
            let header = response.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
            assert_eq!(header, allowed, "{method} {uri}");
        }
    }
}

#[tokio::test]
async fn connect_receives_the_same_information_as_over_a_websocket() {
    struct CheckingSocket;
    impl Socket for CheckingSocket {
        type State = ();

        async fn connect(request: Connect) -> Result<Self, Refusal> {
            let ConnectInfo { peer, path, headers, uri, auth_token, .. } = &request.info;
            assert_eq!(peer.unwrap().to_string(), "10.0.0.1:4321");
            assert_eq!((path.get("id"), headers["x-custom"].as_bytes()), (Some("7"), &b"yes"[..]));
            assert_eq!(uri.path(), "/checking/7/longpoll");
            assert_eq!((auth_token.as_deref(), request.param("lang")?), (Some("secret"), "en"));
            Ok(CheckingSocket)
        }
        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    let mount = bennu::socket::<CheckingSocket>("/checking/{id}").auth_token(true).longpoll(true);
    let app = mount.check_origin(CheckOrigin::any()).router(&endpoint()).unwrap();
    let mut get = request(Method::GET, "/checking/7/longpoll?vsn=2.0.0&lang=en", "");
    get.headers_mut().insert("x-custom", "yes".parse().unwrap());
    get.headers_mut().insert("x-phoenix-authtoken", "secret".parse().unwrap());
    assert_eq!(respond(&app, get).await.polled().status, 410);
}

#[tokio::test(start_paused = true)]
async fn a_session_token_may_be_a_header_and_is_valid_at_every_mount_of_the_endpoint() {
    let endpoint = endpoint();
    let other = bennu::socket::<Open>("/other").longpoll(true).router(&endpoint).unwrap();
    let app: Router = mount(&endpoint, true).merge(other);
    let client = Poller::open(&app, "/socket").await;
    let heartbeat = json!([null, "1", "phoenix", "heartbeat", {}]).to_string();
    let mut post = request(Method::POST, "/other/longpoll?vsn=2.0.0", heartbeat);
    post.headers_mut().insert("x-phoenix-longpoll-token", client.token.parse().unwrap());
    assert_eq!(respond(&app, post).await.json(), json!({ "status": 200 }));
    assert_eq!(client.polling().await.messages.len(), 1);
}
