//! Mounting a socket: what reaches `connect`, who is refused and how, and living inside an application.

mod support;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use base64::Engine;
use bennu::prelude::*;
use bennu::protocol::Serializer;
use bennu::{CheckOrigin, Mount, MountError, SessionCookie, SessionMap};
use bennu_websocket::{Opcode, encode};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use support::channel::{Open, Room, app};
use support::client::{Client, KEY, MASK, handshake};
use support::watch::Log;
use support::{Server, endpoint, soon, until};
use tokio::net::TcpListener;

const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// Remembers everything that its `connect` was told, and tells it to whoever asks.
struct Curious {
    seen: Value,
}

impl Socket for Curious {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let info = &request.info;
        Ok(Curious {
            seen: json!({
                "id": request.path_param("id").ok(),
                "room": request.path_param("room").ok(),
                "name": request.params.get("name"),
                "peer": info.peer,
                "uri": info.uri.to_string(),
                "user_agent": request.user_agent(),
                "x-custom": info.headers.get("x-custom").and_then(|value| value.to_str().ok()),
                "auth_token": request.auth_token().ok(),
                "session": info.session,
            }),
        })
    }

    fn id(&self) -> Option<String> {
        Some(format!("curious:{}", self.seen["id"].as_str().unwrap_or("none")))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Mirror>("mirror").channel::<Room>("room:*");
    }
}

/// Its join reply is what `connect` saw.
struct Mirror;

impl Channel<Curious> for Mirror {
    async fn join(_: &str, _: Payload, ctx: &mut Context<Curious, Self>) -> Joined<Self> {
        accept_with(Mirror, &ctx.socket.seen)
    }
}

async fn serve<S: Socket<State = ()>>(mount: Mount<S>) -> (Server, Endpoint) {
    let endpoint = endpoint();
    let app = mount.router(&endpoint).expect("a good mount");
    (Server::start(&endpoint, app).await, endpoint)
}

/// What `connect` of a [`Curious`] socket saw.
async fn seen(server: &Server, path: &str, headers: &str) -> Value {
    let (mut client, _) = Client::connect_with(server.addr, path, headers).await;
    client.join("mirror").await["response"].clone()
}

#[tokio::test]
async fn the_parts_of_the_path_reach_connect_decoded() {
    let (server, _endpoint) = serve(bennu::socket::<Curious>("/ws/{id}/in/{room}")).await;
    let seen = seen(&server, "/ws/42/in/a%20b%2Fc/websocket?vsn=2.0.0&name=x%20y", "").await;
    assert_eq!((&seen["id"], &seen["room"], &seen["name"]), (&json!("42"), &json!("a b/c"), &json!("x y")));
}

#[tokio::test]
async fn a_path_part_that_the_mount_does_not_have_is_missing_by_name() {
    struct Needy;
    impl Socket for Needy {
        type State = ();

        async fn connect(request: Connect) -> Result<Self, Refusal> {
            request.path_param("tenant")?;
            Ok(Needy)
        }
        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    let (log, _guard) = Log::watch(tracing::Level::INFO);
    let (server, _endpoint) = serve(bennu::socket::<Needy>("/ws/{id}")).await;
    assert_eq!(Client::refused(server.addr, "/ws/1/websocket", "").await.status, 403);
    assert!(log.has(&["refused connection", "parameter \"tenant\" is missing"]), "{:?}", log.lines());
}

#[tokio::test]
async fn connect_is_told_the_peer_the_uri_the_headers_and_the_user_agent() {
    let (server, _endpoint) = serve(bennu::socket::<Curious>("/socket")).await;
    let mut client = Client::tcp(server.addr).await;
    let peer = client.stream.local_addr().unwrap();
    client.upgrade(PATH, "User-Agent: probe/1.0\r\nX-Custom: something\r\n").await;
    let seen = client.join("mirror").await["response"].clone();
    assert_eq!(seen["peer"], json!(peer));
    assert_eq!(seen["uri"], PATH);
    assert_eq!(seen["user_agent"], "probe/1.0");
    assert_eq!(seen["x-custom"], "something");
    assert_eq!((&seen["auth_token"], &seen["session"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_session_reaches_connect_with_its_csrf_token_and_not_without() {
    let endpoint = endpoint();
    let cookie = SessionCookie::new("_app_key", "session salt");
    let page = cookie.clone();
    // The page of the application: makes the session, says the token in its body.
    let app = Router::new()
        .route(
            "/",
            get(move |State(endpoint): State<Endpoint>| async move {
                let mut session = SessionMap::new();
                session.insert("user_id".to_owned(), json!(7));
                let token = SessionCookie::csrf_token(&mut session).unwrap();
                ([("set-cookie", page.header(endpoint.secret(), &session).unwrap())], token)
            }),
        )
        .with_state(endpoint.clone())
        .merge(bennu::socket::<Curious>("/socket").session(cookie).router(&endpoint).unwrap());
    let server = Server::start(&endpoint, app).await;

    let mut browser = Client::tcp(server.addr).await;
    browser.send_raw("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let page = browser.response().await;
    let set_cookie = page.header("set-cookie").expect("a session").to_owned();
    assert!(set_cookie.contains("HttpOnly") && set_cookie.contains("SameSite=Lax"), "{set_cookie}");
    let cookie = format!("Cookie: theme=dark; {}\r\n", set_cookie.split(';').next().unwrap());

    let good = seen(&server, &format!("{PATH}&_csrf_token={}", page.body), &cookie).await;
    assert_eq!(good["session"]["user_id"], 7);
    // A letter that the token, which is random, does not begin with.
    let other = if page.body.starts_with('x') { 'y' } else { 'x' };
    for (why, path, headers) in [
        ("without the token", PATH.to_owned(), cookie.clone()),
        ("with a wrong token", format!("{PATH}&_csrf_token={other}{}", &page.body[1..]), cookie.clone()),
        ("without the cookie", format!("{PATH}&_csrf_token={}", page.body), String::new()),
        (
            "with a forged cookie",
            format!("{PATH}&_csrf_token={}", page.body),
            cookie.replace("_app_key=", "_app_key=A"),
        ),
    ] {
        assert_eq!(seen(&server, &path, &headers).await["session"], Value::Null, "{why}");
    }
}

#[tokio::test]
async fn an_auth_token_travels_as_a_subprotocol_and_never_back() {
    let (server, _endpoint) = serve(bennu::socket::<Curious>("/socket").auth_token(true)).await;
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("s3cret/täken");
    let header = format!("Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{token}\r\n");
    let (mut client, response) = Client::connect_with(server.addr, PATH, &header).await;
    assert_eq!(response.header("sec-websocket-protocol"), Some("phoenix"));
    assert_eq!(client.join("mirror").await["response"]["auth_token"], "s3cret/täken");
}

#[tokio::test]
async fn a_mount_that_does_not_ask_for_a_token_does_not_read_one() {
    let (server, _endpoint) = serve(bennu::socket::<Curious>("/socket")).await;
    let header = "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.YWJj\r\n";
    let (mut client, response) = Client::connect_with(server.addr, PATH, header).await;
    assert_eq!(response.header("sec-websocket-protocol"), None);
    assert_eq!(client.join("mirror").await["response"]["auth_token"], Value::Null);
}

#[tokio::test]
async fn the_mount_s_preferred_subprotocol_is_chosen_and_strangers_are_refused() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").subprotocols(["first", "second"])).await;
    for (offered, chosen) in [("second, first", "first"), ("other,second", "second")] {
        let header = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let (_client, response) = Client::connect_with(server.addr, PATH, &header).await;
        assert_eq!(response.header("sec-websocket-protocol"), Some(chosen), "{offered}");
    }
    let (_client, response) = Client::connect_with(server.addr, PATH, "").await;
    assert_eq!(response.header("sec-websocket-protocol"), None, "none was asked for");
    assert_eq!(Client::refused(server.addr, PATH, "Sec-WebSocket-Protocol: other\r\n").await.status, 403);
}

#[tokio::test]
async fn a_socket_that_speaks_v2_only_refuses_v1_and_says_why_in_the_log() {
    let (log, _guard) = Log::watch(tracing::Level::WARN);
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").serializers([Serializer::V2])).await;
    for vsn in ["", "?vsn=1.0.0", "?vsn=3.0.0", "?vsn=nonsense"] {
        assert_eq!(Client::refused(server.addr, &format!("/socket/websocket{vsn}"), "").await.status, 403, "{vsn}");
    }
    assert!(log.has(&["vsn 1.0.0 is not supported", "~> 2.0.0"]), "{:?}", log.lines());
    assert!(log.has(&["vsn \"nonsense\" is no version"]), "{:?}", log.lines());
    Client::connect(server.addr, PATH).await.joined("room:1").await;
}

struct Choosy;

impl Socket for Choosy {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.params.get("how") {
            Some("plainly") => Err(Refusal::plain()),
            Some("panic") => panic!("asked to"),
            Some("banned") => Err(Refusal::stop("you are banned until Friday")),
            Some(reason) => Err(Refusal::because(reason.to_owned())),
            None => Ok(Choosy),
        }
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

#[tokio::test]
async fn an_error_handler_answers_refusals_with_a_reason_and_only_those() {
    let mount = bennu::socket::<Choosy>("/socket").error_handler(|refusal| match refusal.reason() {
        Some("busy") => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "5")], "come back later".to_owned()),
        other => (StatusCode::PAYMENT_REQUIRED, [("retry-after", "0")], format!("refused: {other:?}")),
    });
    let (server, _endpoint) = serve(mount).await;
    let busy = Client::refused(server.addr, &format!("{PATH}&how=busy"), "").await;
    assert_eq!((busy.status, busy.header("retry-after"), &*busy.body), (429, Some("5"), "come back later"));
    let other = Client::refused(server.addr, &format!("{PATH}&how=unpaid"), "").await;
    assert_eq!((other.status, &*other.body), (402, "refused: Some(\"unpaid\")"));
    assert_eq!(Client::refused(server.addr, &format!("{PATH}&how=plainly"), "").await.status, 403);
    assert_eq!(Client::refused(server.addr, &format!("{PATH}&how=panic"), "").await.status, 500);
    Client::connect(server.addr, PATH).await;
}

#[tokio::test]
async fn without_an_error_handler_every_refusal_is_a_403_without_words() {
    let (server, _endpoint) = serve(bennu::socket::<Choosy>("/socket")).await;
    for how in ["plainly", "busy"] {
        let response = Client::refused(server.addr, &format!("{PATH}&how={how}"), "").await;
        assert_eq!((response.status, &*response.body), (403, ""), "{how}");
    }
}

fn mount_error<S: Socket<State = ()>>(mount: Mount<S>) -> MountError {
    mount.router::<()>(&endpoint()).expect_err("a mount that cannot be")
}

#[test]
fn what_cannot_be_mounted_says_what_is_wrong_with_it() {
    struct Starry;
    impl Socket for Starry {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Ok(Starry)
        }
        fn channels(router: &mut ChannelRouter<Self>) {
            router.channel::<Room>("good:*").channel::<Room>("bad:*:x").channel::<Room>("*worse");
        }
    }
    assert_eq!(
        mount_error(bennu::socket::<Starry>("/socket")).to_string(),
        "topic pattern \"bad:*:x\": `*` may only be the last character, found at byte 4 of 7"
    );
    for path in
        ["socket", "/socket/", "", "/", "/ws//x", "/ws/:id", "/ws/*", "/ws/{id", "/ws/{}", "/ws/{*rest}", "/w{id}"]
    {
        let error = mount_error(bennu::socket::<Open>(path));
        assert_eq!(error, MountError::Path(path.to_owned()));
        let rule = "must begin with \"/\" and not end with it, and its variable parts are written \"{name}\"";
        assert_eq!(error.to_string(), format!("mount path {path:?} {rule}"));
    }
    let error = mount_error(bennu::socket::<Open>("/socket").serializers([]));
    assert_eq!(error.to_string(), "a socket needs at least one serializer");
    assert_eq!(format!("{error:?}"), "a socket needs at least one serializer", "as `main` prints it");
}

#[test]
fn a_path_is_mounted_once_with_an_endpoint_for_as_long_as_its_router_is_there() {
    let endpoint = endpoint();
    let mount = |path: &str| bennu::socket::<Open>(path).router::<()>(&endpoint);
    let first = mount("/socket").unwrap();
    let error = mount("/socket").unwrap_err();
    assert_eq!(error, MountError::Taken("/socket".to_owned()));
    let words =
        "mount path \"/socket\" is taken: this endpoint has a socket there already; mount each at a path of its own";
    assert_eq!((error.to_string(), format!("{error:?}")), (words.to_owned(), words.to_owned()));
    drop(first);
    let rooms = mount("/ws/{id}").unwrap().merge(mount("/socket").unwrap());
    assert!(
        matches!(mount("/ws/{name}"), Err(MountError::Taken(path)) if path == "/ws/{name}"),
        "the name is no part of it"
    );
    assert!(mount("/ws/other").is_ok(), "another path");
    drop(rooms);
}

#[tokio::test]
async fn a_client_that_is_refused_for_good_is_let_in_and_told_why_and_closed_with_1000() {
    let mount = bennu::socket::<Choosy>("/socket").longpoll(true).error_handler(|_| StatusCode::IM_A_TEAPOT);
    let (server, endpoint) = serve(mount).await;
    let (mut client, response) = Client::connect_with(server.addr, &format!("{PATH}&how=banned"), "").await;
    assert_eq!(response.status, 101);
    assert_eq!(client.close_frame().await, (Some(1000), "you are banned until Friday".to_owned()));
    client.answer_close(1000).await;
    until("the connection is over", || endpoint.connection_count() == 0).await;
    let polled = Client::refused(server.addr, "/socket/longpoll?vsn=2.0.0&how=banned", "").await;
    assert_eq!((polled.status, &*polled.body), (200, r#"{"status":403}"#), "the one refusal that long polling knows");
}

#[tokio::test]
async fn a_client_that_is_refused_for_good_is_not_heard() {
    let (server, _endpoint) = serve(bennu::socket::<Choosy>("/socket")).await;
    let mut client = Client::tcp(server.addr).await;
    let mut bytes = handshake(&format!("{PATH}&how=banned"), "").into_bytes();
    let join = json!(["1", "1", "room:1", "phx_join", {}]).to_string();
    bytes.extend(encode::masked_frame(Opcode::Text, join.as_bytes(), MASK));
    client.send_raw(bytes).await;
    assert_eq!(client.response().await.status, 101);
    assert_eq!(client.close_frame().await.0, Some(1000), "and no reply before it");
}

struct Guarded {
    user: String,
    greeting: &'static str,
}

impl Socket for Guarded {
    type State = App;

    async fn connect(request: Connect<App>) -> Result<Self, Refusal> {
        let user = request.extension::<User>()?.0.clone();
        Ok(Guarded { user, greeting: request.state().name })
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Greeter>("greeter");
    }
}

#[derive(Clone)]
struct User(String);

struct Greeter;

impl Channel<Guarded> for Greeter {
    async fn join(_: &str, _: Payload, ctx: &mut Context<Guarded, Self>) -> Joined<Self> {
        let state = ctx.state().name;
        accept_with(Greeter, json!({ "user": ctx.socket.user, "greeting": ctx.socket.greeting, "state": state }))
    }
}

#[tokio::test]
async fn the_mounts_state_and_what_a_login_layer_has_found_reach_connect_over_both_transports() {
    let endpoint = endpoint();
    let state = App { endpoint: endpoint.clone(), name: "hello" };
    let socket = bennu::socket::<Guarded>("/socket").with_state(state).longpoll(true).router(&endpoint).unwrap();
    let login = axum::middleware::from_fn(|mut request: axum::extract::Request, next: axum::middleware::Next| async {
        if let Some(user) = request.headers().get("x-user").and_then(|user| user.to_str().ok()).map(str::to_owned) {
            request.extensions_mut().insert(User(user));
        }
        next.run(request).await
    });
    let app = Router::new().merge(socket).layer(login);
    let server = Server::start(&endpoint, app.clone()).await;
    let (mut client, _) = Client::connect_with(server.addr, PATH, "X-User: blue\r\n").await;
    let greeted = json!({ "user": "blue", "greeting": "hello", "state": "hello" });
    assert_eq!(client.join("greeter").await["response"], greeted);
    assert_eq!(Client::refused(server.addr, PATH, "").await.status, 403, "nobody has logged in");
    let polled = Client::refused(server.addr, "/socket/longpoll?vsn=2.0.0", "X-User: blue\r\n").await;
    assert!(polled.body.contains(r#""status":410"#), "a session: {}", polled.body);
}

#[tokio::test]
async fn a_token_that_a_mount_does_not_read_is_named_in_the_log_once() {
    let (log, _guard) = Log::watch(tracing::Level::WARN);
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    for _ in 0..2 {
        let offer = "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.YWJj\r\n";
        Client::connect_with(server.addr, PATH, offer).await;
    }
    assert_eq!(log.with(&["authToken", "add .auth_token(true)"]).len(), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn a_unix_socket_serves_websockets_too_and_drains() {
    let endpoint = endpoint();
    let path = std::env::temp_dir().join(format!("bennu-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = bennu::serve(listener, app(&endpoint), &endpoint).with_graceful_shutdown(async { _ = stopped.await });
    let serving = tokio::spawn(serving.into_future());
    let mut client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.upgrade(PATH, "").await.status, 101);
    client.joined("room:1").await;
    stop.send(()).unwrap();
    assert_eq!(client.close_frame().await.0, Some(1012));
    client.answer_close(1012).await;
    assert_eq!(soon("the drain", serving).await.unwrap().unwrap().connections, 1);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn plain_axum_serve_works_with_and_without_the_peer_s_address() {
    let endpoint = endpoint();
    let app = bennu::socket::<Curious>("/socket").router::<()>(&endpoint).unwrap();
    for with_peer in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = app.clone();
        let server = tokio::spawn(async move {
            if with_peer {
                axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
            } else {
                axum::serve(listener, app).await
            }
        });
        let mut client = Client::tcp(addr).await;
        let peer = client.stream.local_addr().unwrap();
        client.upgrade(PATH, "").await;
        let seen = client.join("mirror").await["response"].clone();
        assert_eq!(seen["peer"], if with_peer { json!(peer) } else { Value::Null });
        client.joined("room:1").await;
        endpoint.broadcast("room:1", "said", json!({ "big": "x".repeat(300_000) })).unwrap();
        assert_eq!(client.receive().await[4]["big"].as_str().map(str::len), Some(300_000));
        client.answer_close(1000).await;
        server.abort();
    }
}

#[tokio::test]
async fn a_frame_that_comes_with_the_handshake_is_answered_by_bennu_and_by_axum_serve() {
    let endpoint = endpoint();
    let app = app(&endpoint);
    let server = Server::start(&endpoint, app.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let axum = tokio::spawn(axum::serve(listener, app).into_future());
    for addr in [server.addr, plain] {
        let mut client = Client::tcp(addr).await;
        let mut bytes = handshake(PATH, "").into_bytes();
        for message in [
            json!([null, "0", "phoenix", "heartbeat", {}]),
            json!(["1", "1", "room:1", "phx_join", {}]),
            json!(["1", "2", "room:1", "echo", { "early": "x".repeat(5000) }]),
        ] {
            bytes.extend(encode::masked_frame(Opcode::Text, message.to_string().as_bytes(), MASK));
        }
        // And the beginning of one more.
        let last = json!([null, "3", "phoenix", "heartbeat", {}]).to_string();
        let last = encode::masked_frame(Opcode::Text, last.as_bytes(), MASK);
        bytes.extend(&last[..9]);
        client.send_raw(bytes).await;
        assert_eq!(client.response().await.status, 101);
        for reference in ["0", "1", "2"] {
            let reply = client.receive().await;
            assert_eq!((&reply[1], &reply[4]["status"]), (&json!(reference), &json!("ok")));
        }
        client.send_raw(&last[9..]).await;
        assert_eq!(client.receive().await[1], "3");
    }
    axum.abort();
}

#[derive(Clone)]
struct App {
    endpoint: Endpoint,
    name: &'static str,
}

#[tokio::test]
async fn a_socket_lives_in_an_application_with_its_own_state_routes_and_handlers_that_broadcast() {
    async fn announce(State(app): State<App>, body: String) -> Result<String, (StatusCode, String)> {
        let payload = json!({ "text": body });
        let told = app.endpoint.local_broadcast("room:lobby", "announced", payload);
        told.map(|told| told.to_string()).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }
    let endpoint = endpoint();
    let state = App { endpoint: endpoint.clone(), name: "the application" };
    let api = Router::new().merge(bennu::socket::<Curious>("/ws/{id}").router(&endpoint).unwrap());
    let app = Router::<App>::new()
        .route("/", get(|State(app): State<App>| async move { app.name }))
        .route("/announce", post(announce))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
        .nest("/api/{version}", api)
        .merge(bennu::socket::<Open>("/socket").router(&endpoint).unwrap())
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
        .with_state(state);
    let server = Server::start(&endpoint, app).await;

    let mut http = Client::tcp(server.addr).await;
    let mut ask = async |request: String| {
        http.send_raw(request).await;
        http.response().await
    };
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.body, "the application");
    assert_eq!(ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.status, 404);
    assert!(ask("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.body.starts_with("127.0.0.1:"));

    let mut nested = Client::connect(server.addr, "/api/v1/ws/7/websocket?vsn=2.0.0").await;
    assert_eq!(nested.join("mirror").await["response"]["id"], "7");
    nested.joined("room:lobby").await;
    let mut merged = Client::connect(server.addr, PATH).await;
    merged.joined("room:lobby").await;

    let body = "hello all";
    let request = format!("POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(ask(request).await.body, "2", "two sockets of two types have joined");
    for client in [&mut nested, &mut merged] {
        assert_eq!(client.receive().await, json!([null, null, "room:lobby", "announced", { "text": body }]));
    }
}

#[tokio::test]
async fn disconnecting_a_socket_id_closes_its_connections_with_1001_and_no_others() {
    let (server, endpoint) = serve(bennu::socket::<Curious>("/ws/{id}")).await;
    let mut clients = Vec::new();
    for id in ["7", "7", "8"] {
        let mut client = Client::connect(server.addr, &format!("/ws/{id}/websocket?vsn=2.0.0")).await;
        client.joined("mirror").await;
        clients.push(client);
    }
    endpoint.disconnect("curious:7").unwrap();
    let mut other = clients.pop().expect("three");
    for mut client in clients {
        assert_eq!(client.close_frame().await.0, Some(1001));
        client.answer_close(1001).await;
    }
    until("one connection is left", || endpoint.connection_count() == 1).await;
    other.joined("room:1").await;
}

#[tokio::test]
async fn origins_are_checked_as_the_mount_says() {
    let list = CheckOrigin::list(["https://app.test", "//*.wild.test", "http://port.test:8080"]).unwrap();
    let function = CheckOrigin::function(|origin| origin.host().is_some_and(|host| host.ends_with(".fn.test")));
    let cases: [(CheckOrigin, &[&str], &[&str]); 4] = [
        (
            true.into(),
            &["http://127.0.0.1", "https://127.0.0.1:9"],
            &["http://evil.test", "null", "http://127.0.0.1.evil"],
        ),
        (false.into(), &["http://evil.test", "null", "file://", "nonsense ~"], &[]),
        (
            list,
            &["https://app.test", "http://a.wild.test:1", "http://port.test:8080"],
            &["http://app.test", "http://127.0.0.1", "https://app.test.evil", "http://port.test", "null"],
        ),
        (function, &["http://a.fn.test"], &["http://fn.test", "http://127.0.0.1", "null"]),
    ];
    for (check, good, bad) in cases {
        let name = format!("{check:?}");
        let (log, _guard) = Log::watch(tracing::Level::WARN);
        let (server, _endpoint) = serve(bennu::socket::<Open>("/socket").check_origin(check)).await;
        Client::connect(server.addr, PATH).await;
        for origin in good {
            Client::connect_with(server.addr, PATH, &format!("Origin: {origin}\r\n")).await;
        }
        for origin in bad {
            let response = Client::refused(server.addr, PATH, &format!("Origin: {origin}\r\n")).await;
            assert_eq!(response.status, 403, "{name}: {origin}");
            let remedy = format!(".check_origin(CheckOrigin::list([{origin:?}])?)");
            assert!(log.has(&["check_origin does not allow", &remedy]), "{name}: {:?}", log.lines());
        }
    }
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_told_what_it_lacks() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    let request = |headers: &str| format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let rest = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n");
    for (headers, expected) in [
        (String::new(), "'connection' header must contain 'upgrade', got []"),
        ("Connection: close\r\n".to_owned(), "'connection' header must contain 'upgrade', got [\"close\"]"),
        (format!("Connection: upgrade\r\n{rest}"), "'upgrade' header must contain 'websocket', got []"),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n".to_owned(),
            "'sec-websocket-version' header must equal '13', got [\"8\"]",
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
            "'sec-websocket-key' header is absent",
        ),
    ] {
        let mut client = Client::tcp(server.addr).await;
        client.send_raw(request(&headers)).await;
        let response = client.response().await;
        assert_eq!((response.status, &*response.body), (400, expected));
    }
    let mut client = Client::tcp(server.addr).await;
    client.send_raw(handshake(PATH, "").replacen("GET", "POST", 1)).await;
    assert_eq!(client.response().await.status, 400);
}

#[tokio::test]
async fn a_query_that_is_no_text_is_a_bad_request_and_names_the_parameter() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    let response = Client::refused(server.addr, "/socket/websocket?vsn=2.0.0&name=%FF", "").await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("\"%FF\"") && response.body.contains("UTF-8"), "{}", response.body);
}

#[tokio::test]
async fn a_trailing_slash_is_the_same_socket() {
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    Client::connect(server.addr, "/socket/websocket/?vsn=2.0.0").await.joined("room:1").await;
}

#[tokio::test]
async fn the_limits_of_a_mount_are_its_own() {
    let endpoint = endpoint();
    let small = bennu::socket::<Open>("/small").max_channels(2).max_frame_size(1000);
    let router = app(&endpoint).merge(small.router(&endpoint).unwrap());
    let server = Server::start(&endpoint, router).await;
    let mut client = Client::connect(server.addr, "/small/websocket?vsn=2.0.0").await;
    client.joined("room:1").await;
    client.joined("room:2").await;
    let reply = client.join("room:3").await;
    assert_eq!(reply, json!({ "status": "error", "response": { "reason": "too many channels joined" } }));
    client.send(json!(["1", "9", "room:1", "phx_leave", {}])).await;
    assert_eq!(client.receive().await[1], "9");
    assert_eq!(client.receive().await[3], "phx_close");
    client.joined("room:3").await;
    client.send_text(&"x".repeat(993)).await;
    assert_eq!(client.close_frame().await.0, Some(1009));
    let mut other = Client::connect(server.addr, PATH).await;
    for n in 0..3 {
        other.joined(&format!("room:{n}")).await;
    }
}

#[tokio::test]
async fn a_silent_client_is_closed_with_3008_and_the_reason_in_words() {
    let (server, endpoint) = serve(bennu::socket::<Open>("/socket").timeout(Duration::from_millis(300))).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("room:1").await;
    assert_eq!(client.close_frame().await, (Some(3008), "nothing received for 0.3 s".to_owned()));
    client.answer_close(3008).await;
    until("its channel has ended", || endpoint.channel_count() == 0).await;
    soon("serving goes on", Client::connect(server.addr, PATH)).await;
}
