//! The graceful shutdown: it closes every client at an even pace, every channel terminates, and no new client is
//! accepted.

mod support;

use bennu::prelude::*;
use bennu::pubsub::{Message, Subscription};
use bennu::{Drain, Drained};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::channel::{Open, app};
use support::client::{Client, handshake};
use support::watch::Log;
use support::{Server, endpoint, quick_drain, soon, until};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// The message that a channel broadcasts when it terminates.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    topic: String,
    reason: String,
}

impl Message for Ended {
    const KIND: &'static str = "test.ended";
}

/// The message that a held channel or `connect` waits for.
#[derive(Clone, Serialize, Deserialize)]
struct GoOn;

impl Message for GoOn {
    const KIND: &'static str = "test.go_on";
}

/// A channel that broadcasts [`Ended`] when it terminates; on a topic `held:*`, it waits for [`GoOn`] first.
struct Ending;

/// A socket whose `connect` waits for [`GoOn`] if the client has the parameter `held`.
struct EndingSocket;

impl Socket for EndingSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        if request.params.get("held").is_some() {
            let mut go_on: Subscription<GoOn> = request.endpoint.pubsub().subscribe("go on");
            request.endpoint.pubsub().local_broadcast("connecting", GoOn);
            go_on.recv().await?;
        }
        Ok(EndingSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Ending>("ending:*").channel::<Ending>("held:*").channel::<Stuck>("stuck");
    }
}

impl<S: Socket> Channel<S> for Ending {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Ending)
    }

    async fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) {
        let pubsub = ctx.endpoint().pubsub();
        if ctx.topic().starts_with("held") {
            let mut go_on: Subscription<GoOn> = pubsub.subscribe("go on");
            let _ = go_on.recv().await;
        }
        pubsub.local_broadcast("ended", Ended { topic: ctx.topic().to_owned(), reason: format!("{reason:?}") });
    }
}

/// A channel that never terminates by itself.
struct Stuck;

impl<S: Socket> Channel<S> for Stuck {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Stuck)
    }

    async fn terminate(&mut self, _: Terminate, _: &mut Context<S, Self>) {
        std::future::pending().await
    }
}

fn ending_app(endpoint: &Endpoint) -> axum::Router {
    bennu::socket::<EndingSocket>("/socket").router(endpoint).unwrap()
}

#[tokio::test]
async fn clients_are_closed_with_1012_at_an_even_pace_joined_or_not() {
    let endpoint = endpoint();
    let interval = Duration::from_millis(500);
    let drain = Drain { batch_size: 2, batch_interval: interval, deadline: Duration::from_secs(20) };
    let mut server = Server::start_with(&endpoint, app(&endpoint), drain).await;
    let mut clients = Vec::new();
    for n in 0..6 {
        let mut client = Client::connect(server.addr, PATH).await;
        if n % 2 == 0 {
            client.joined("room:1").await;
        }
        clients.push(tokio::spawn(async move {
            assert_eq!(client.close_frame().await, (Some(1012), String::new()), "client {n}");
            client.answer_close(1012).await;
        }));
    }
    until("all are connected", || endpoint.connection_count() == 6).await;
    let started = Instant::now();
    server.shut_down();
    for client in clients {
        soon("a close", client).await.unwrap();
    }
    assert_eq!(server.drained().await, Drained { connections: 6, left: 0 });
    // Between six clients there are five pauses, two in each interval.
    assert!(started.elapsed() >= interval * 5 / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_ordinary_request_that_is_under_way_is_answered_before_serving_returns() {
    let endpoint = endpoint();
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (arrived, go_on) = (arrived.clone(), go_on.clone());
        move || async move {
            arrived.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let app = app(&endpoint).route("/slow", axum::routing::get(slow));
    let mut server = Server::start(&endpoint, app).await;
    let (mut busy, mut idle) = (Client::tcp(server.addr).await, Client::tcp(server.addr).await);
    for client in [&mut busy, &mut idle] {
        client.send_raw("GET /none HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(client.response().await.status, 404);
    }
    busy.send_raw("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    soon("the request", arrived.notified()).await;
    server.shut_down();
    assert_eq!(idle.ended().await, 0, "a connection without a request is closed");
    go_on.notify_one();
    assert_eq!(busy.response().await.body, "done");
    assert_eq!(server.drained().await, Drained { connections: 0, left: 0 });
}

#[tokio::test]
async fn every_channel_of_every_client_terminates_before_serving_returns() {
    let endpoint = endpoint();
    let mut ended: Subscription<Ended> = endpoint.pubsub().subscribe("ended");
    let server = Server::start(&endpoint, ending_app(&endpoint)).await;
    let mut clients = Vec::new();
    for n in 0..10 {
        let mut client = Client::connect(server.addr, PATH).await;
        for m in 0..10 {
            client.joined(&format!("ending:{n}:{m}")).await;
        }
        clients.push(client);
    }
    // These clients receive the close frame and do not answer it.
    let leaving = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.close_frame().await.0, Some(1012));
        }
    });
    assert_eq!(server.drained().await, Drained { connections: 10, left: 0 });
    leaving.await.unwrap();
    assert_eq!((endpoint.connection_count(), endpoint.channel_count()), (0, 0));
    let mut reasons = BTreeMap::new();
    while let Some(Ok(end)) = ended.try_recv() {
        *reasons.entry(end.reason.clone()).or_insert(0) += 1;
    }
    assert_eq!(reasons, BTreeMap::from([("Closed".to_owned(), 100)]));
}

#[tokio::test]
async fn the_drain_waits_for_a_channel_that_is_slow_to_terminate() {
    let endpoint = endpoint();
    let mut ended: Subscription<Ended> = endpoint.pubsub().subscribe("ended");
    let server = Server::start(&endpoint, ending_app(&endpoint)).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("held:1").await;
    let drained = tokio::spawn(server.drained());
    assert_eq!(client.close_frame().await.0, Some(1012));
    client.answer_close(1012).await;
    until("the connection is gone", || endpoint.connection_count() == 0).await;
    until("its channel waits", || endpoint.pubsub().subscriber_count("go on") == 1).await;
    assert!(!drained.is_finished() && ended.try_recv().is_none(), "the channel has not terminated yet");
    endpoint.pubsub().local_broadcast("go on", GoOn);
    assert_eq!(soon("the drain", drained).await.unwrap(), Drained { connections: 1, left: 0 });
    let end = ended.try_recv().expect("the channel terminated before the end of the drain").unwrap();
    assert_eq!((&*end.topic, &*end.reason), ("held:1", "Closed"));
}

#[tokio::test]
async fn no_new_client_is_accepted_during_a_drain() {
    let endpoint = endpoint();
    let mut server = Server::start(&endpoint, ending_app(&endpoint)).await;
    let mut staying = Client::connect(server.addr, PATH).await;
    staying.joined("held:1").await;
    // An HTTP connection from before the drain.
    let mut early = Client::tcp(server.addr).await;
    early.send_raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(early.response().await.status, 404);

    server.shut_down();
    assert_eq!(staying.close_frame().await.0, Some(1012));
    early.send_raw(handshake(PATH, "")).await;
    let response = early.response().await;
    assert_eq!((response.status, &*response.body), (503, "shutting down"));
    let refused = TcpStream::connect(server.addr).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    staying.answer_close(1012).await;
    until("its channel waits", || endpoint.pubsub().subscriber_count("go on") == 1).await;
    endpoint.pubsub().local_broadcast("go on", GoOn);
    assert_eq!(server.drained().await, Drained { connections: 1, left: 0 });
}

/// The handshake is under way when the drain begins: the drain must close this client too.
#[tokio::test]
async fn a_client_whose_connect_still_runs_when_the_drain_begins_does_not_stay_connected() {
    let endpoint = endpoint();
    let mut connecting: Subscription<GoOn> = endpoint.pubsub().subscribe("connecting");
    let mut server = Server::start(&endpoint, ending_app(&endpoint)).await;
    let mut late = Client::tcp(server.addr).await;
    late.send_raw(handshake(&format!("{PATH}&held=1"), "")).await;
    soon("the call of connect", connecting.recv()).await.unwrap();
    server.shut_down();
    until("the drain begins", || endpoint.is_draining()).await;
    endpoint.pubsub().local_broadcast("go on", GoOn);
    let response = late.response().await;
    if response.status == 101 {
        assert_eq!(late.close_frame().await.0, Some(1012));
        late.answer_close(1012).await;
    } else {
        assert_eq!(response.status, 503);
    }
    assert_eq!(server.drained().await.left, 0);
}

#[tokio::test]
async fn a_client_that_never_answers_the_close_is_left_at_the_deadline_and_counted() {
    let (log, _guard) = Log::watch(tracing::Level::INFO);
    let endpoint = endpoint();
    let drain = Drain { deadline: Duration::from_millis(300), ..quick_drain() };
    let server = Server::start_with(&endpoint, app(&endpoint), drain).await;
    let mut good = Client::connect(server.addr, PATH).await;
    let mut stubborn = Client::connect(server.addr, PATH).await;
    stubborn.joined("room:1").await;
    let good = tokio::spawn(async move {
        assert_eq!(good.close_frame().await.0, Some(1012));
        good.answer_close(1012).await;
    });
    // The client receives the close frame, and neither answers it nor closes the stream.
    let drained = tokio::spawn(server.drained());
    assert_eq!(stubborn.close_frame().await.0, Some(1012));
    assert_eq!(soon("the drain", drained).await.unwrap(), Drained { connections: 2, left: 1 });
    good.await.unwrap();
    assert!(log.has(&["INFO", "draining", "connections=2"]), "{:?}", log.lines());
    assert!(log.has(&["INFO", "drained", "connections=2", "left=1"]), "{:?}", log.lines());
}

/// A channel that does not terminate is dropped after its own timeout of 5 s, and the log contains its topic.
#[tokio::test]
async fn a_channel_that_never_terminates_is_dropped_after_five_seconds_and_logged() {
    let (log, _guard) = Log::watch(tracing::Level::INFO);
    let endpoint = endpoint();
    let patient = Drain { deadline: Duration::from_secs(20), ..quick_drain() };
    let server = Server::start_with(&endpoint, ending_app(&endpoint), patient).await;
    let mut client = Client::connect(server.addr, PATH).await;
    client.joined("stuck").await;
    let drained = tokio::spawn(server.drained());
    assert_eq!(client.close_frame().await.0, Some(1012));
    drop(client);
    assert_eq!(soon("the drain", drained).await.unwrap(), Drained { connections: 1, left: 0 });
    assert_eq!(endpoint.channel_count(), 0);
    let expected =
        ["ERROR", "channel crashed", "stuck", "terminate", "still running 5s after the channel began to end"];
    assert!(log.has(&expected), "{:?}", log.lines());
}

#[tokio::test]
async fn a_drain_without_clients_ends_at_once() {
    let endpoint = endpoint();
    let drain = Drain { batch_interval: Duration::from_secs(60), ..quick_drain() };
    let server =
        Server::start_with(&endpoint, bennu::socket::<Open>("/socket").router(&endpoint).unwrap(), drain).await;
    assert_eq!(server.drained().await, Drained { connections: 0, left: 0 });
}

#[tokio::test]
async fn clients_that_leave_before_they_are_closed_do_not_delay_the_drain() {
    let endpoint = endpoint();
    let drain = Drain { batch_size: 1, batch_interval: Duration::from_millis(100), deadline: Duration::from_secs(20) };
    let server = Server::start_with(&endpoint, app(&endpoint), drain).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::connect(server.addr, PATH).await);
    }
    until("all are connected", || endpoint.connection_count() == 4).await;
    let drained = tokio::spawn(server.drained());
    until("the drain begins", || endpoint.is_draining()).await;
    for client in clients {
        client.reset();
    }
    assert_eq!(soon("the drain", drained).await.unwrap().left, 0);
}
