//! The endpoint: connections, disconnects and drains, and that nothing is left after the last client.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::protocol::Close;
use bennu_channels::transport::{Limits, NotConnected, SocketMount};
use bennu_channels::{Connect, Drain, Drained, SHUTDOWN_TIMEOUT};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        if params.get("deny")? == Some(true) {
            return refuse(json!({}));
        }
        ctx.subscribe::<Broadcast>("news");
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "push" => {
                ctx.push("pushed", payload)?;
                noreply()
            }
            "who" => reply_ok(json!({ "topic": ctx.topic() })),
            "sign" => reply_ok(json!({ "token": ctx.sign("salt", "user 7")? })),
            _ => unhandled(event),
        }
    }

    async fn terminate(&mut self, _: Terminate, ctx: &mut Context<S, Self>) {
        if ctx.topic() == "room:slow" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        note(format!("{} terminated", ctx.topic()));
    }
}

impl<S: Socket> HandleInfo<S, Broadcast> for Room {
    async fn handle_info(&mut self, _: Broadcast, _: &mut Context<S, Self>) -> Flow {
        noreply()
    }
}

/// Named by its parameter `id`; refused without one that is allowed.
struct Named(Option<String>);

impl Socket for Named {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.params.get("id") {
            Some("nobody") => Err(Refusal::plain()),
            Some("everybody") => Err(Refusal::because("rate_limit")),
            Some("must") => Ok(Named(Some(request.param("other")?.to_owned()))),
            Some("late") => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Named(None))
            }
            id => Ok(Named(id.map(|id| format!("user:{id}")))),
        }
    }

    fn id(&self) -> Option<String> {
        self.0.clone()
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*");
    }
}

socket!(TestSocket: "room:*" => Room);

async fn named(endpoint: &bennu_channels::Endpoint, id: &str) -> Client {
    Connecting::to(endpoint).params([("id", id)]).open::<Named>().await
}

#[tokio::test(start_paused = true)]
async fn disconnecting_an_id_closes_its_connections_and_no_other() {
    let endpoint = endpoint();
    let mut one = named(&endpoint, "1").await;
    let mut again = named(&endpoint, "1").await;
    let mut two = named(&endpoint, "2").await;
    let mut unnamed = connect_to::<TestSocket>(&endpoint).await;
    one.join("room:1", "1").await;
    endpoint.disconnect("user:1").unwrap();
    for client in [&mut one, &mut again] {
        let close = client.closed().await;
        assert_eq!((&close, close.code()), (&Close::Disconnected, Some(1001)));
    }
    two.expect_heartbeat().await;
    unnamed.expect_heartbeat().await;
}

#[tokio::test(start_paused = true)]
async fn messages_before_a_disconnect_arrive_and_none_after_it() {
    let endpoint = endpoint();
    let mut client = named(&endpoint, "1").await;
    client.join("room:1", "1").await;
    endpoint.broadcast("room:1", "before", json!({})).unwrap();
    endpoint.disconnect("user:1").unwrap();
    endpoint.broadcast("room:1", "after", json!({})).unwrap();
    assert_eq!(client.closed().await, Close::Disconnected);
    client.expect([json!([null, null, "room:1", "before", {}])]).await;
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn another_event_on_the_id_of_a_socket_does_nothing() {
    let endpoint = endpoint();
    let mut client = named(&endpoint, "1").await;
    endpoint.broadcast("user:1", "something", json!({})).unwrap();
    client.expect_heartbeat().await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_refused_say_why() {
    let endpoint = endpoint();
    let mount = SocketMount::new::<Named>(endpoint.clone(), Arc::new(()), Limits::default()).unwrap();
    let refusal = async |id: &str| {
        let params = [("id", id)].into_iter().collect();
        let request = Connect::new(params, ConnectInfo::new(), endpoint.clone());
        match mount.connect(request).await {
            Err(NotConnected::Refused(refusal)) => refusal,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("connected"),
        }
    };
    assert_eq!(refusal("nobody").await.reason(), None);
    assert_eq!(refusal("everybody").await.reason(), Some("rate_limit"));
    let missing = refusal("must").await;
    assert_eq!((missing.reason(), missing.to_string()), (None, "parameter \"other\" is missing".to_owned()));
    assert_eq!(endpoint.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn patterns_are_tried_in_the_order_in_which_they_were_registered() {
    struct Exact;
    impl<S: Socket> Channel<S> for Exact {
        async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            refuse(json!({ "by": "exact" }))
        }
    }
    socket!(First: "room:1" => Exact, "room:*" => Room);
    socket!(Last: "room:*" => Room, "room:1" => Exact);
    let mut client = connect::<First>().await;
    client.send(json!(["1", "1", "room:1", "phx_join", {}]));
    client.expect([error("1", "1", "room:1", json!({ "by": "exact" }))]).await;
    client.join("room:2", "2").await;
    connect::<Last>().await.join("room:1", "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_cannot_be_a_route_is_an_error_where_the_socket_is_mounted() {
    socket!(Wrong: "room:*" => Room, "ro*m" => Room, "*:*" => Room);
    let error =
        SocketMount::new::<Wrong>(endpoint(), Arc::new(()), Limits::default()).err().expect("the first is named");
    assert_eq!(error.to_string(), "topic pattern \"ro*m\": `*` may only be the last character, found at byte 2 of 4");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_channel_signs_is_verified_by_the_endpoint() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("room:1", "1").await;
    client.send(json!(["1", "2", "room:1", "sign", {}]));
    let reply = client.next().await;
    let token = reply[4]["response"]["token"].as_str().expect("a token");
    assert_eq!(endpoint.verify::<String>("salt", token, Token::ONE_DAY).unwrap(), "user 7");
    assert!(endpoint.verify::<String>("another salt", token, Token::ONE_DAY).is_err());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_joins_and_leaves_leave_nothing_behind() {
    let endpoint = endpoint();
    let mut clients = Vec::new();
    for n in 0..100 {
        clients.push(named(&endpoint, &n.to_string()).await);
    }
    for (at, client) in clients.iter_mut().enumerate() {
        client.send_all((0..100).map(|n| {
            let topic = format!("room:{}", at * 100 + n);
            json!([n.to_string(), n.to_string(), topic, "phx_join", { "deny": n % 10 == 0 }])
        }));
        for _ in 0..100 {
            assert_eq!(client.next().await[3], "phx_reply");
        }
    }
    assert_eq!((endpoint.connection_count(), endpoint.channel_count()), (100, 9_000));
    // Each topic once, each socket's id, and the news.
    assert_eq!(endpoint.pubsub().topic_count(), 9_000 + 100 + 1);
    assert_eq!(endpoint.pubsub().subscriber_count("news"), 9_000);
    for (at, client) in clients.iter_mut().enumerate() {
        client.send_all((0..100).map(|n| {
            let topic = format!("room:{}", at * 100 + n);
            json!([null, "leave", topic, "phx_leave", {}])
        }));
    }
    rest().await;
    assert_eq!((endpoint.connection_count(), endpoint.channel_count()), (100, 0));
    assert_eq!(endpoint.pubsub().topic_count(), 100);
    clients.into_iter().for_each(Client::hang_up);
    assert_eq!((endpoint.connection_count(), endpoint.pubsub().topic_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn connections_that_close_with_their_channels_joined_leave_nothing_behind() {
    let endpoint = endpoint();
    for n in 0..100 {
        let mut client = named(&endpoint, &n.to_string()).await;
        for m in 0..10 {
            client.join(&format!("room:{m}"), &m.to_string()).await;
        }
        let connection = std::sync::Arc::downgrade(client.connection());
        client.hang_up();
        rest().await;
        assert!(connection.upgrade().is_none(), "nothing keeps the connection");
    }
    assert_eq!((endpoint.connection_count(), endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_somebody_still_refers_to_has_given_everything_back_when_it_has_closed() {
    let endpoint = endpoint();
    let mut client = named(&endpoint, "1").await;
    client.join("room:1", "1").await;
    let _kept = client.connection().clone();
    client.hang_up();
    rest().await;
    assert_eq!((endpoint.connection_count(), endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_join_that_arrives_after_the_connection_has_closed_starts_nothing() {
    let endpoint = endpoint();
    let client = connect_to::<TestSocket>(&endpoint).await;
    client.connection().finish();
    client.send(json!(["1", "1", "room:1", "phx_join", {}]));
    rest().await;
    assert_eq!((endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_closed_as_too_slow_and_the_others_are_not() {
    let endpoint = endpoint();
    let mut connecting = Connecting::to(&endpoint);
    connecting.limits = Limits { outbox_bytes: 10_000, ..Limits::default() };
    let mut slow = connecting.open::<TestSocket>().await;
    let mut quick = connect_to::<TestSocket>(&endpoint).await;
    slow.join("room:1", "1").await;
    quick.join("room:1", "1").await;
    for n in 0..200 {
        endpoint.broadcast("room:1", "msg", json!({ "n": n, "text": "x".repeat(100) })).unwrap();
        assert_eq!(quick.next().await[4]["n"], n);
    }
    let close = slow.closed().await;
    let Close::TooSlow { waiting, limit } = close else { panic!("{close:?}") };
    assert!(limit == 10_000 && waiting > limit && waiting < limit + 200, "{close:?}");
    assert_eq!(close.code(), Some(1008));
    assert_eq!(close.reason(), format!("{waiting} bytes unread, the limit is 10000"));
    slow.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_larger_than_the_outbox_is_sent_when_nothing_else_waits() {
    let mut connecting = Connecting::to(&endpoint());
    connecting.limits = Limits { outbox_bytes: 1000, ..Limits::default() };
    let mut client = connecting.open::<TestSocket>().await;
    client.join("room:1", "1").await;
    client.send(json!(["1", "2", "room:1", "push", { "text": "x".repeat(5000) }]));
    assert_eq!(client.next().await[3], "pushed");
}

/// Transports that close on request, and note the time.
fn transports(clients: Vec<Client>) {
    let started = Instant::now();
    for mut client in clients {
        tokio::spawn(async move {
            let close = client.closed().await;
            assert_eq!((&close, close.code()), (&Close::Restart, Some(1012)));
            note(format!("{} s", started.elapsed().as_secs()));
            client.hang_up();
        });
    }
}

async fn clients(endpoint: &bennu_channels::Endpoint, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(connect_to::<TestSocket>(endpoint).await);
    }
    clients
}

fn drain(batch_size: usize) -> Drain {
    Drain { batch_size, batch_interval: Duration::from_secs(2), deadline: Duration::from_secs(30) }
}

#[tokio::test(start_paused = true)]
async fn a_drain_spreads_a_batch_over_its_interval() {
    let endpoint = endpoint();
    transports(clients(&endpoint, 7).await);
    assert!(!endpoint.is_draining());
    let started = Instant::now();
    let drained = drain(3).run(&endpoint).await;
    assert_eq!(drained, Drained { connections: 7, left: 0 });
    assert_eq!(started.elapsed().as_secs(), 4, "done when the last has gone");
    assert!(endpoint.is_draining());
    assert_eq!(notes(), ["0 s", "0 s", "1 s", "2 s", "2 s", "3 s", "4 s"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_every_channel_to_have_terminated() {
    let endpoint = endpoint();
    let mut clients = clients(&endpoint, 2).await;
    clients[0].join("room:slow", "1").await;
    clients[1].join("room:1", "1").await;
    transports(clients);
    let started = Instant::now();
    assert_eq!(Drain::default().run(&endpoint).await, Drained { connections: 2, left: 0 });
    assert_eq!(started.elapsed().as_secs(), 3);
    // Channels end as soon as their connection begins to close, not when it has closed.
    assert_eq!(notes(), ["room:1 terminated", "0 s", "0 s", "room:slow terminated"]);
    assert_eq!(endpoint.channel_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_nothing_is_done_at_once() {
    let started = Instant::now();
    assert_eq!(Drain::default().run(&endpoint()).await, Drained { connections: 0, left: 0 });
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline_and_counts_the_connections_that_are_left() {
    let endpoint = endpoint();
    let mut deaf = clients(&endpoint, 2).await;
    transports(clients(&endpoint, 3).await);
    let started = Instant::now();
    assert_eq!(Drain::default().run(&endpoint).await, Drained { connections: 5, left: 2 });
    assert_eq!(started.elapsed().as_secs(), 30);
    assert_eq!(deaf[0].closed().await, Close::Restart);
}

#[tokio::test(start_paused = true)]
async fn a_drain_with_a_deadline_before_its_last_client_counts_only_the_connections_that_it_closed() {
    let endpoint = endpoint();
    let _deaf = clients(&endpoint, 10).await;
    let drain = Drain { deadline: Duration::from_secs(3), ..drain(2) };
    let started = Instant::now();
    assert_eq!(drain.run(&endpoint).await, Drained { connections: 4, left: 10 });
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_connects_during_a_drain_is_closed_as_soon_as_it_is_connected() {
    let endpoint = endpoint();
    let late = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { named(&endpoint, "late").await })
    };
    let _deaf = clients(&endpoint, 1).await;
    rest().await;
    let draining = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { Drain::default().run(&endpoint).await })
    };
    let mut late = late.await.unwrap();
    assert_eq!(late.closed().await, Close::Restart);
    draining.abort();
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_client_that_is_connecting_and_no_longer_when_that_comes_to_nothing() {
    let endpoint = endpoint();
    let mount = SocketMount::new::<Named>(endpoint.clone(), Arc::new(()), Limits::default()).unwrap();
    let params = [("id", "late")].into_iter().collect();
    let request = Connect::new(params, ConnectInfo::new(), endpoint.clone());
    let connecting = tokio::spawn(async move { mount.connect(request).await.map(drop) });
    rest().await;
    let started = Instant::now();
    assert_eq!(Drain::default().run(&endpoint).await, Drained { connections: 0, left: 0 });
    assert_eq!(started.elapsed().as_millis(), 999, "it took a second, of which one millisecond had passed");
    assert!(connecting.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_channel_holds_up_a_drain_no_longer_than_the_shutdown_timeout() {
    struct Stuck;
    impl<S: Socket> Channel<S> for Stuck {
        async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            accept(Stuck)
        }
        async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<S, Self>) -> Handled {
            std::future::pending::<()>().await;
            noreply()
        }
    }
    socket!(StuckSocket: "stuck" => Stuck);
    let endpoint = endpoint();
    let mut client = connect_to::<StuckSocket>(&endpoint).await;
    client.join("stuck", "1").await;
    client.send(json!(["1", "2", "stuck", "ping", {}]));
    transports(vec![client]);
    let started = Instant::now();
    assert_eq!(Drain::default().run(&endpoint).await, Drained { connections: 1, left: 0 });
    assert_eq!(started.elapsed().as_secs(), SHUTDOWN_TIMEOUT.as_secs());
    assert_eq!(endpoint.channel_count(), 0);
}
