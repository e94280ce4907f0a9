//! The end of a session: silence, a disconnect, a slow client, and a drain.

use super::*;

struct Ends;

/// The reason with which a channel terminated, broadcast on PubSub.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Ended(String);

impl bennu::pubsub::Message for Ended {
    const KIND: &'static str = "test.longpoll_ended";
}

impl<S: Socket> Channel<S> for Ends {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Ends)
    }

    async fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) {
        ctx.endpoint().pubsub().local_broadcast("ended", Ended(format!("{reason:?}")));
    }
}

struct Ending;

impl Socket for Ending {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        Ok(Ending)
    }

    fn id(&self) -> Option<String> {
        Some("them".to_owned())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Ends>("ends").channel::<Room>("room:*");
    }
}

fn ending(endpoint: &Endpoint, longpoll: impl Into<LongPoll>) -> Router {
    bennu::socket::<Ending>("/socket").longpoll(longpoll).max_outbox_bytes(1000).router(endpoint).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_request_for_one_and_a_half_windows_ends_with_its_channels() {
    let endpoint = endpoint();
    let mut ended = endpoint.pubsub().subscribe::<Ended>("ended");
    let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
    client.join("ends").await;
    let started = Instant::now();
    assert_eq!(*ended.recv().await.unwrap(), Ended("Closed".to_owned()));
    assert_eq!(started.elapsed(), Duration::from_secs(15));
    assert_eq!(endpoint.connection_count(), 0);
    assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
    assert_eq!(client.poll().await.status, 410, "a new session");
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn polls_and_posts_keep_a_session_and_so_does_a_waiting_poll_longer_than_the_idle_time() {
    let endpoint = endpoint();
    let longpoll = LongPoll::default().window(Duration::from_secs(30)).idle_time(Duration::from_secs(5));
    let mut client = Poller::open(&ending(&endpoint, longpoll), "/socket").await;
    for _ in 0..3 {
        assert_eq!(client.poll().await.status, 204);
    }
    for _ in 0..5 {
        sleep(Duration::from_secs(4)).await;
        client.send([json!([null, "1", "phoenix", "heartbeat", {}])]).await;
    }
    assert_eq!(client.messages().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_a_waiting_poll_at_once() {
    let endpoint = endpoint();
    let mut ended = endpoint.pubsub().subscribe::<Ended>("ended");
    let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
    client.join("ends").await;
    let started = Instant::now();
    let polling = tokio::spawn(client.polling());
    settle().await;
    endpoint.disconnect("them").unwrap();
    assert_eq!(polling.await.unwrap().status, 410);
    assert_eq!(*ended.recv().await.unwrap(), Ended("Closed".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_before_a_disconnect_are_delivered_before_the_end() {
    let endpoint = endpoint();
    let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    broadcast(&endpoint, 1);
    endpoint.disconnect("them").unwrap();
    assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
    let before = client.token.clone();
    assert_eq!(client.messages().await, [said(1)]);
    assert_eq!(endpoint.connection_count(), 0, "no further message can follow");
    client.token = before;
    assert_eq!(client.messages().await, [said(1)], "again, in case the response was lost");
    assert_eq!(client.poll().await.status, 410);
}

/// Drains a node with one session and returns the duration, which is the time that the drain waits for the session's
/// client.
async fn drain(endpoint: &Endpoint) -> Duration {
    let drain = bennu::Drain { batch_interval: Duration::from_millis(1), ..bennu::Drain::default() };
    let started = Instant::now();
    assert_eq!(drain.run(endpoint).await, Drained { connections: 1, left: 0 });
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_left_delays_a_drain_by_two_seconds_at_most() {
    let endpoint = endpoint();
    let mut client = Poller::open(&ending(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    broadcast(&endpoint, 1);
    assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_post_delays_a_drain_by_two_seconds_at_most() {
    let endpoint = endpoint();
    let client = Poller::open(&ending(&endpoint, true), "/socket").await;
    let (_more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let posting = tokio::spawn(async move { client.post("application/json", slow_body(body)).await });
    settle().await;
    assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
    posting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_poll_dropped_at_the_moment_of_its_response_delays_a_drain_by_two_seconds_at_most() {
    let endpoint = endpoint();
    let client = Poller::open(&ending(&endpoint, true), "/socket").await;
    let polling = tokio::spawn(client.polling());
    settle().await;
    endpoint.disconnect("them").unwrap();
    polling.abort();
    assert_eq!(drain(&endpoint).await, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_poll_is_closed_at_the_limit_of_its_outbox_and_counted() {
    let recorder = DebuggingRecorder::new();
    let metrics = Metrics::of(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let endpoint = endpoint();
    let app = ending(&endpoint, true);
    let mut client = Poller::open(&app, "/socket").await;
    client.join("room:1").await;
    let mut other = Poller::open(&app, "/socket").await;
    other.join("room:1").await;
    for n in 0..100 {
        broadcast(&endpoint, n);
        assert_eq!(other.messages().await, [said(n)]);
    }
    let over = respond(&app, client.poll_request()).await.json();
    assert_eq!(
        (over["status"].as_u64(), over["reason"].as_str()),
        (Some(410), Some("1070 bytes unread, the limit is 1000"))
    );
    assert_eq!(metrics.get("bennu.socket.slow_clients"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_binary_message_that_is_not_utf8_is_skipped_and_counted_and_the_others_arrive() {
    let recorder = DebuggingRecorder::new();
    let metrics = Metrics::of(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let endpoint = endpoint();
    let mut client = Poller::open(&mount(&endpoint, true), "/socket").await;
    client.join("room:1").await;
    broadcast(&endpoint, 1);
    endpoint.broadcast("room:1", "said", vec![0xff, 0]).unwrap();
    broadcast(&endpoint, 2);
    assert_eq!(client.messages().await, [said(1), said(2)]);
    assert_eq!(metrics.get("bennu.longpoll.unsendable"), 1.0);
}

#[tokio::test]
async fn a_drain_ends_waiting_polls_and_refuses_new_sessions() {
    let endpoint = endpoint();
    let app = mount(&endpoint, LongPoll::default().window(Duration::from_secs(60)));
    let server = Server::start(&endpoint, app.clone()).await;
    let mut client = Client::tcp(server.addr).await;
    let get = |token: &str| format!("GET /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\nHost: h\r\n\r\n");
    client.send_raw(get("")).await;
    let opened: Value = serde_json::from_str(&client.response().await.body).unwrap();
    client.send_raw(get(opened["token"].as_str().unwrap())).await;
    until("the client is connected", || endpoint.connection_count() == 1).await;
    assert_eq!(server.drained().await, Drained { connections: 1, left: 0 });
    let response = client.response().await;
    assert_eq!((response.status, response.body.as_str()), (503, r#"{"reason":"shutting down","status":500}"#));
    let refused = respond(&app, request(Method::GET, "/socket/longpoll?vsn=2.0.0", "")).await;
    assert_eq!(refused.http, StatusCode::SERVICE_UNAVAILABLE);
}
