//! The limits on the number of sessions.

use super::*;

#[tokio::test(start_paused = true)]
async fn sessions_over_a_limit_are_refused_with_the_limit_until_others_have_ended() {
    let recorder = DebuggingRecorder::new();
    let metrics = Metrics::of(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let endpoint = endpoint();
    let limited = LongPoll::default().max_sessions(3).max_sessions_per_peer(2);
    let app = mount(&endpoint, limited);
    let open = |peer: [u8; 4]| {
        let mut request = request(Method::GET, "/socket/longpoll?vsn=2.0.0", "");
        let peer = std::net::SocketAddr::from((peer, 1));
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let app = app.clone();
        async move { respond(&app, request).await }
    };
    for _ in 0..2 {
        assert_eq!(open([10, 0, 0, 1]).await.polled().status, 410);
    }
    let refused = open([10, 0, 0, 1]).await;
    assert_eq!(refused.http, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["reason"], "10.0.0.1 has reached its limit of 2 long-poll sessions");
    assert_eq!(open([10, 0, 0, 2]).await.polled().status, 410);
    let refused = open([10, 0, 0, 3]).await;
    assert_eq!(refused.http, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json()["reason"], "this server has reached its limit of 3 long-poll sessions");
    assert_eq!(metrics.get("bennu.longpoll.refused{limit=sessions}"), 1.0);
    assert_eq!(metrics.get("bennu.longpoll.refused{limit=sessions_per_peer}"), 1.0);
    assert_eq!(metrics.get("bennu.longpoll.sessions"), 3.0);
    sleep(Duration::from_secs(16)).await;
    assert_eq!((metrics.get("bennu.longpoll.sessions"), metrics.get("bennu.longpoll.expired")), (0.0, 3.0));
    assert_eq!(open([10, 0, 0, 3]).await.polled().status, 410);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_holds_no_permit() {
    struct Never;
    impl Socket for Never {
        type State = ();

        async fn connect(_: Connect) -> Result<Self, Refusal> {
            Err(Refusal::plain())
        }
        fn channels(_: &mut ChannelRouter<Self>) {}
    }
    let longpoll = LongPoll::default().max_sessions(1);
    let app = bennu::socket::<Never>("/never").longpoll(longpoll).router(&endpoint()).unwrap();
    for _ in 0..3 {
        let refused = respond(&app, request(Method::GET, "/never/longpoll?vsn=2.0.0", "")).await;
        assert_eq!(refused.json(), json!({ "status": 403 }));
    }
}
