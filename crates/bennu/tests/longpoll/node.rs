//! Sessions that are used through other nodes than their own.

use super::*;

fn node(cluster: &InProcess, name: &'static str) -> (Endpoint, Router) {
    let secret = Secret::new("a secret of at least twenty bytes for tests").unwrap();
    let pubsub = PubSub::new(cluster.join(NodeName::new(name)));
    let endpoint = Endpoint::builder(secret).pubsub(pubsub).build();
    let app = mount(&endpoint, true);
    (endpoint, app)
}

/// Starts two nodes of one cluster.
fn two_nodes() -> (Endpoint, Router, Endpoint, Router) {
    let cluster = InProcess::cluster();
    let ((a, app_a), (b, app_b)) = (node(&cluster, "a"), node(&cluster, "b"));
    (a, app_a, b, app_b)
}

#[tokio::test(start_paused = true)]
async fn every_node_serves_the_requests_of_a_session() {
    let (a, app_a, b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    let mut received = Vec::new();
    client.join("room:1").await;
    for n in 0..20 {
        client.app = if n % 2 == 0 { app_b.clone() } else { app_a.clone() };
        client.send([json!(["1", "2", "room:1", "quiet", {}])]).await;
        broadcast(if n % 3 == 0 { &a } else { &b }, n);
        received.extend(client.messages().await);
    }
    assert_eq!(received, (0..20).map(said).collect::<Vec<_>>());
    assert_eq!((a.connection_count(), b.connection_count()), (1, 0), "the session stays on its node");
}

#[tokio::test(start_paused = true)]
async fn a_relayed_poll_waits_for_messages_and_ends_with_its_window() {
    let (a, app_a, _b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    client.app = app_b;
    let polling = tokio::spawn(client.polling());
    settle().await;
    broadcast(&a, 1);
    let polled = polling.await.unwrap();
    assert_eq!(polled.messages, [said(1)]);
    client.token = polled.token;
    let started = Instant::now();
    assert_eq!(client.poll().await.status, 204);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_message_lost_between_nodes_or_on_the_way_to_the_client_arrives_with_the_next_poll() {
    let (a, app_a, _b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    client.app = app_b;
    let polling = tokio::spawn(client.polling());
    settle().await;
    // The client drops its poll; the node of its session does not notice.
    polling.abort();
    let _ = polling.await;
    broadcast(&a, 1);
    settle().await;
    broadcast(&a, 2);
    assert_eq!(client.messages().await, [said(1)]);
    assert_eq!(client.messages().await, [said(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_leaving_node_ends_its_relayed_polls_at_once_and_no_message_is_lost() {
    let (a, app_a, b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    client.app = app_b;
    let polling = tokio::spawn(client.polling());
    settle().await;
    let started = Instant::now();
    b.leave().await;
    let polled = polling.await.unwrap();
    assert_eq!((polled.status, started.elapsed()), (204, Duration::ZERO));
    broadcast(&a, 1);
    (client.app, client.token) = (app_a, polled.token);
    assert_eq!(client.messages().await, [said(1)]);
}

#[tokio::test(start_paused = true)]
async fn the_first_batch_of_a_session_is_not_lost_by_a_leaving_node() {
    let (_a, app_a, b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.app = app_b;
    let polling = tokio::spawn(client.polling());
    settle().await;
    b.leave().await;
    (client.app, client.token) = (app_a, polling.await.unwrap().token);
    // The node of the session delivers the reply to the relayed poll, which has already ended.
    client.send([json!(["1", "1", "room:1", "phx_join", {}])]).await;
    settle().await;
    let reply = json!(["1", "1", "room:1", "phx_reply", { "status": "ok", "response": {} }]);
    assert_eq!(client.messages().await, [reply]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_through_a_leaving_node_never_replaces_the_clients_next_poll() {
    let (a, app_a, b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    b.leave().await;
    for n in 0..20 {
        client.app = app_a.clone();
        let polling = tokio::spawn(client.polling());
        settle().await;
        // An earlier poll of the client arrives later, through the other node.
        client.app = app_b.clone();
        assert_eq!(client.polling().await.status, 204);
        settle().await;
        let sent_at = Instant::now();
        broadcast(&a, n);
        let polled = polling.await.unwrap();
        assert_eq!((polled.messages, sent_at.elapsed()), (vec![said(n)], Duration::ZERO));
        client.token = polled.token;
    }
}

#[tokio::test]
async fn a_post_through_a_node_that_shuts_down_still_arrives() {
    let (_a, app_a, b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    // An incomplete POST delays the next one, which arrives through the node that shuts down.
    let (more, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let first = client.post("application/json", slow_body(body));
    let arrived = Arc::new(tokio::sync::Notify::new());
    let notify = arrived.clone();
    let app_b = app_b.layer(axum::middleware::map_request(move |request: http::Request<Body>| {
        notify.notify_one();
        std::future::ready(request)
    }));
    let mut server = Server::start(&b, app_b).await;
    let second = async {
        let mut through_b = Client::tcp(server.addr).await;
        let echo = r#"["1","3","room:1","echo",{}]"#;
        let head = format!("POST /socket/longpoll?vsn=2.0.0&token={} HTTP/1.1\r\nHost: h", client.token);
        through_b.send_raw(format!("{head}\r\nContent-Length: {}\r\n\r\n{echo}", echo.len())).await;
        soon("the second POST", arrived.notified()).await;
        server.shut_down();
        soon("the drain", b.leaving()).await;
        more.send(Bytes::from_static(br#"["1","2","room:1","echo",{}]"#)).unwrap();
        drop(more);
        through_b.response().await.body
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.text.as_str(), second.as_str()), (r#"{"status":200}"#, r#"{"status":200}"#));
    let mut refs = Vec::new();
    while refs.len() < 2 {
        refs.extend(client.messages().await.iter().map(|reply| reply[1].clone()));
    }
    assert_eq!(refs, ["2", "3"]);
    server.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_is_named_through_another_node_too() {
    let (_a, app_a, _b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.app = app_b;
    let response = client.post("application/json", "[not json").await;
    let reason = "message 1: the text is not a V2 message: expected ident at line 1 column 3";
    assert_eq!(response.json(), json!({ "status": 400, "reason": reason }));
}

#[tokio::test(start_paused = true)]
async fn requests_for_an_ended_session_or_a_session_of_a_departed_node_do_not_wait() {
    let (a, app_a, _b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.app = app_b;
    sleep(Duration::from_secs(16)).await;
    let started = Instant::now();
    assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
    let mut fresh = Poller::open(&app_a, "/socket").await;
    fresh.app = client.app.clone();
    drop((a, app_a));
    sleep(Duration::from_secs(16)).await;
    let waited = started.elapsed();
    assert_eq!(fresh.post("application/json", "[]").await.json(), json!({ "status": 410 }));
    assert_eq!(fresh.poll().await.status, 410, "a new session on this node");
    assert_eq!(started.elapsed(), waited);
}

#[tokio::test(start_paused = true)]
async fn a_relayed_poll_ends_as_soon_as_the_node_of_its_session_leaves() {
    let (a, app_a, _b, app_b) = two_nodes();
    let mut client = Poller::open(&app_a, "/socket").await;
    client.join("room:1").await;
    client.app = app_b;
    let polling = tokio::spawn(client.polling());
    settle().await;
    let started = Instant::now();
    a.leave().await;
    assert_eq!(polling.await.unwrap().status, 410, "a new session on the other node");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_respond_times_out_after_two_seconds() {
    let cluster = InProcess::cluster();
    let silent = PubSub::new(cluster.join(NodeName::new("silent")));
    let (endpoint, app) = node(&cluster, "a");
    let mut client = Poller::open(&app, "/socket").await;
    let token = bennu::token::Token::new(endpoint.secret(), "bennu long poll").no_expiry();
    client.token = token.sign(&("silent", "a-session", Some(0u64))).unwrap();
    let started = Instant::now();
    assert_eq!(client.post("application/json", "[]").await.json(), json!({ "status": 410 }));
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    drop(silent);
}
