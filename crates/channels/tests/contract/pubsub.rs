//! Broadcasts, interception, and subscriptions to topics besides the channel's own.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::protocol::Serializer;
use bennu_channels::pubsub::{InProcess, Message, NodeName, PubSub};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Broadcasts as its client requests.
struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        tokio::time::sleep(Duration::from_millis(params.get("ms")?.unwrap_or(0))).await;
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "to_all" => ctx.broadcast("msg", payload)?,
            "to_others" => ctx.broadcast_from("msg", payload)?,
            "to_all_and_reply" => {
                ctx.broadcast("msg", payload)?;
                return reply_ok(json!({}));
            }
            _ => return unhandled(event),
        }
        noreply()
    }
}

/// Intercepts `number`, `plain` and `slow`.
struct Sieve;

impl<S: Socket> Channel<S> for Sieve {
    const INTERCEPT: &'static [&'static str] = &["number", "slow", "stop"];

    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Sieve)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        ctx.broadcast(event, payload)?;
        noreply()
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        match event {
            "slow" => tokio::time::sleep(Duration::from_secs(1)).await,
            "stop" => return stop(StopReason::Normal),
            _ => {}
        }
        let number: u64 = payload.get("n")?.unwrap_or_default();
        if number.is_multiple_of(2) {
            ctx.push("even", json!({ "n": number }))?;
        }
        noreply()
    }
}

/// Intercepts without a `handle_out` of its own.
struct Default;

impl<S: Socket> Channel<S> for Default {
    const INTERCEPT: &'static [&'static str] = &["msg"];

    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Default)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Sold {
    item: u64,
}

impl Message for Sold {
    const KIND: &'static str = "test.sold";
}

#[derive(Clone, Serialize, Deserialize)]
struct Restocked;

impl Message for Restocked {
    const KIND: &'static str = "test.restocked";
}

/// Subscribes as its client requests.
struct Listener;

impl<S: Socket> Channel<S> for Listener {
    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        if params.get("at_once")? == Some(true) {
            ctx.subscribe::<Sold>("shop");
        }
        if params.get("deny")? == Some(true) {
            return refuse(json!({}));
        }
        accept(Listener)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "subscribe" => ctx.subscribe::<Sold>(&payload.parse::<String>()?),
            "subscribe_broadcasts" => ctx.subscribe::<Broadcast>(&payload.parse::<String>()?),
            "unsubscribe" => {
                let ended = ctx.unsubscribe(&payload.parse::<String>()?);
                return reply_ok(json!({ "ended": ended }));
            }
            _ => return unhandled(event),
        }
        reply_ok(json!({}))
    }
}

impl<S: Socket> HandleInfo<S, Sold> for Listener {
    async fn handle_info(&mut self, sold: Sold, ctx: &mut Context<S, Self>) -> Flow {
        ctx.push("sold", json!({ "item": sold.item }))?;
        noreply()
    }
}

impl<S: Socket> HandleInfo<S, Broadcast> for Listener {
    async fn handle_info(&mut self, sent: Broadcast, ctx: &mut Context<S, Self>) -> Flow {
        let what = json!({ "topic": sent.topic(), "event": sent.event(), "payload": sent.payload().parse::<serde_json::Value>()? });
        ctx.push("heard", what)?;
        noreply()
    }
}

socket!(TestSocket: "room:*" => Room, "sieve" => Sieve, "default" => Default, "listener" => Listener);

fn msg(topic: &str, payload: serde_json::Value) -> serde_json::Value {
    json!([null, null, topic, "msg", payload])
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_everybody_on_the_topic_and_nobody_else() {
    let endpoint = endpoint();
    let mut one = connect_to::<TestSocket>(&endpoint).await;
    let mut two = connect_to::<TestSocket>(&endpoint).await;
    let mut elsewhere = connect_to::<TestSocket>(&endpoint).await;
    one.join("room:1", "1").await;
    two.join("room:1", "2").await;
    elsewhere.join("room:2", "1").await;
    one.send(json!(["1", "5", "room:1", "to_all", { "a": 1 }]));
    for client in [&mut one, &mut two] {
        client.expect([msg("room:1", json!({ "a": 1 }))]).await;
        client.expect_nothing().await;
    }
    elsewhere.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn broadcast_from_excludes_the_sender_only() {
    let endpoint = endpoint();
    let mut one = connect_to::<TestSocket>(&endpoint).await;
    let mut two = connect_to::<TestSocket>(&endpoint).await;
    let mut three = connect_to::<TestSocket>(&endpoint).await;
    for client in [&mut one, &mut two, &mut three] {
        client.join("room:1", "1").await;
    }
    two.send(json!(["1", "5", "room:1", "to_others", { "a": 1 }]));
    for client in [&mut one, &mut three] {
        client.expect([msg("room:1", json!({ "a": 1 }))]).await;
    }
    two.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn broadcasts_of_one_sender_come_in_order_and_before_its_reply() {
    let mut client = connect::<TestSocket>().await;
    client.join("room:1", "1").await;
    client.send_all((0..100).map(|n| json!(["1", n.to_string(), "room:1", "to_all_and_reply", { "n": n }])));
    for n in 0..100 {
        client.expect([msg("room:1", json!({ "n": n })), ok("1", &n.to_string(), "room:1", json!({}))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_is_no_object_crashes_the_channel_that_sends_it_and_reaches_nobody() {
    let endpoint = endpoint();
    let mut one = connect_to::<TestSocket>(&endpoint).await;
    let mut two = connect_to::<TestSocket>(&endpoint).await;
    one.join("room:1", "1").await;
    two.join("room:1", "1").await;
    for payload in [json!([1]), json!("s"), json!(null), json!(5)] {
        one.send(json!(["1", "5", "room:1", "to_all", payload]));
        one.expect([phx_error("1", "room:1")]).await;
        one.join("room:1", "1").await;
    }
    two.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_application_broadcasts_from_anywhere() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("room:1", "1").await;
    endpoint.broadcast("room:1", "msg", json!({ "a": 1 })).unwrap();
    client.expect([msg("room:1", json!({ "a": 1 }))]).await;
    assert_eq!(endpoint.local_broadcast("room:1", "msg", json!({ "a": 2 })), Ok(1));
    assert_eq!(endpoint.local_broadcast("room:2", "msg", json!({ "a": 2 })), Ok(0));
    client.expect([msg("room:1", json!({ "a": 2 }))]).await;
    let error = endpoint.broadcast("room:1", "msg", json!([1])).unwrap_err();
    assert_eq!(error.to_string(), "a broadcast's payload must be a JSON object or binary data, not [1]");
}

#[tokio::test(start_paused = true)]
async fn a_client_receives_broadcasts_from_the_beginning_of_its_join_to_the_end_of_its_channel() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    endpoint.broadcast("room:1", "msg", json!({ "too": "early" })).unwrap();
    client.send(json!(["1", "1", "room:1", "phx_join", { "ms": 100 }]));
    endpoint.broadcast("room:1", "msg", json!({ "just": "in time" })).unwrap();
    client.expect([ok("1", "1", "room:1", json!({})), msg("room:1", json!({ "just": "in time" }))]).await;
    endpoint.broadcast("room:1", "msg", json!({ "in": "time" })).unwrap();
    client.expect([msg("room:1", json!({ "in": "time" }))]).await;
    client.send(json!(["1", "2", "room:1", "phx_leave", {}]));
    client.expect([ok("1", "2", "room:1", json!({})), phx_close("1", "room:1")]).await;
    endpoint.broadcast("room:1", "msg", json!({ "too": "late" })).unwrap();
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_binary_broadcast_reaches_v2_clients_and_is_skipped_for_v1_clients_which_it_does_not_harm() {
    let log = Log::capture();
    let endpoint = endpoint();
    let mut v1 = Connecting::to(&endpoint);
    v1.serializer = Serializer::V1;
    let mut v1 = v1.open::<TestSocket>().await;
    let mut v2 = connect_to::<TestSocket>(&endpoint).await;
    v1.send(json!({ "topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1" }));
    assert_eq!(v1.next().await["payload"]["status"], "ok");
    v2.join("room:1", "1").await;
    endpoint.broadcast("room:1", "msg", vec![1, 2, 3]).unwrap();
    assert_eq!(v2.next_binary().await, b"\x02\x06\x03room:1msg\x01\x02\x03"[..]);
    v1.expect_nothing().await;
    assert_eq!(log.of("WARN").len(), 1, "{:?}", log.lines());
    endpoint.broadcast("room:1", "msg", json!({ "a": 1 })).unwrap();
    v1.expect([json!({ "topic": "room:1", "event": "msg", "payload": { "a": 1 }, "ref": null })]).await;
    v2.expect([msg("room:1", json!({ "a": 1 }))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_binary_broadcast_with_a_topic_too_long_for_a_binary_frame_is_an_error_with_the_limit() {
    let error = endpoint().broadcast(&"t".repeat(256), "msg", vec![1]).unwrap_err();
    assert_eq!(error.to_string(), "a binary broadcast's topic is 256 bytes long, the limit is 255");
}

#[tokio::test(start_paused = true)]
async fn intercepted_events_go_through_handle_out_one_by_one_in_order() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("sieve", "1").await;
    for n in 0..10 {
        let event = if n == 4 { "slow" } else { "number" };
        endpoint.broadcast("sieve", event, json!({ "n": n })).unwrap();
    }
    for n in [0, 2, 4, 6, 8] {
        client.expect([json!(["1", null, "sieve", "even", { "n": n }])]).await;
    }
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn an_intercepted_event_of_the_channel_s_own_client_goes_through_handle_out_too() {
    let mut client = connect::<TestSocket>().await;
    client.join("sieve", "1").await;
    client.send(json!(["1", "2", "sieve", "number", { "n": 2 }]));
    client.expect([json!(["1", null, "sieve", "even", { "n": 2 }])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_out_can_stop_its_channel() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("sieve", "1").await;
    endpoint.broadcast("sieve", "stop", json!({})).unwrap();
    client.expect([phx_close("1", "sieve")]).await;
}

#[tokio::test(start_paused = true)]
async fn an_intercepted_event_without_a_handle_out_is_pushed_unchanged() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("default", "1").await;
    endpoint.broadcast("default", "msg", json!({ "a": 1 })).unwrap();
    client.expect([json!(["1", null, "default", "msg", { "a": 1 }])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_receives_messages_of_its_types_on_its_subscribed_topics() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("listener", "1").await;
    endpoint.pubsub().broadcast("shop", Sold { item: 1 }).unwrap();
    client.send(json!(["1", "2", "listener", "subscribe", "shop"]));
    client.expect([ok("1", "2", "listener", json!({}))]).await;
    endpoint.pubsub().broadcast("shop", Restocked).unwrap();
    endpoint.pubsub().broadcast("other shop", Sold { item: 2 }).unwrap();
    for item in 3..20 {
        endpoint.pubsub().broadcast("shop", Sold { item }).unwrap();
    }
    for item in 3..20 {
        client.expect([json!(["1", null, "listener", "sold", { "item": item }])]).await;
    }
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn subscribing_twice_delivers_twice_and_unsubscribing_ends_both() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("listener", "1").await;
    for _ in 0..2 {
        client.send(json!(["1", "2", "listener", "subscribe", "shop"]));
        client.expect([ok("1", "2", "listener", json!({}))]).await;
    }
    endpoint.pubsub().broadcast("shop", Sold { item: 1 }).unwrap();
    for _ in 0..2 {
        client.expect([json!(["1", null, "listener", "sold", { "item": 1 }])]).await;
    }
    for ended in [2, 0] {
        client.send(json!(["1", "3", "listener", "unsubscribe", "shop"]));
        client.expect([ok("1", "3", "listener", json!({ "ended": ended }))]).await;
    }
    endpoint.pubsub().broadcast("shop", Sold { item: 2 }).unwrap();
    client.expect_nothing().await;
    assert_eq!(endpoint.pubsub().subscriber_count("shop"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_cannot_unsubscribe_from_its_own_topic() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("listener", "1").await;
    client.send(json!(["1", "3", "listener", "unsubscribe", "listener"]));
    client.expect([ok("1", "3", "listener", json!({ "ended": 0 }))]).await;
    endpoint.broadcast("listener", "msg", json!({})).unwrap();
    client.expect([msg("listener", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_can_receive_the_broadcasts_of_other_topics() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("listener", "1").await;
    client.send(json!(["1", "2", "listener", "subscribe_broadcasts", "room:1"]));
    client.expect([ok("1", "2", "listener", json!({}))]).await;
    endpoint.broadcast("room:1", "msg", json!({ "a": 1 })).unwrap();
    let heard = json!({ "topic": "room:1", "event": "msg", "payload": { "a": 1 } });
    client.expect([json!(["1", null, "listener", "heard", heard])]).await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_made_in_join_begin_there_and_end_with_the_channel_or_the_refusal() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.send(json!(["1", "1", "listener", "phx_join", { "at_once": true, "deny": true }]));
    client.expect([error("1", "1", "listener", json!({}))]).await;
    assert_eq!(endpoint.pubsub().topic_count(), 0);
    client.join_with("listener", "2", json!({ "at_once": true })).await;
    endpoint.pubsub().broadcast("shop", Sold { item: 1 }).unwrap();
    client.expect([json!(["2", null, "listener", "sold", { "item": 1 }])]).await;
    client.send(json!(["2", "3", "listener", "phx_leave", {}]));
    client.expect([ok("2", "3", "listener", json!({})), phx_close("2", "listener")]).await;
    assert_eq!(endpoint.pubsub().topic_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn broadcasts_and_disconnects_reach_the_clients_of_every_node() {
    let cluster = InProcess::cluster();
    let node = |name: &str| {
        let pubsub = PubSub::new(cluster.join(NodeName::new(name)));
        bennu_channels::Endpoint::builder(secret()).pubsub(pubsub).build()
    };
    let (a, b) = (node("a"), node("b"));
    let mut on_a = connect_to::<TestSocket>(&a).await;
    let mut on_b = connect_to::<TestSocket>(&b).await;
    on_a.join("room:1", "1").await;
    on_b.join("room:1", "1").await;
    on_a.send(json!(["1", "2", "room:1", "to_all", { "a": 1 }]));
    on_a.expect([msg("room:1", json!({ "a": 1 }))]).await;
    on_b.expect([msg("room:1", json!({ "a": 1 }))]).await;
    assert_eq!(a.local_broadcast("room:1", "msg", json!({ "a": 2 })), Ok(1));
    on_a.expect([msg("room:1", json!({ "a": 2 }))]).await;
    on_b.expect_nothing().await;
}

/// A message that ends a subscription when it is dropped.
struct Holding(#[allow(dead_code)] bennu_channels::pubsub::Subscription<Sold>);

/// Intercepts, and is sent messages that hold something.
struct Holder;

impl<S: Socket> Channel<S> for Holder {
    const INTERCEPT: &'static [&'static str] = &["msg"];

    async fn join(_: &str, _: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        let subscription = ctx.endpoint().pubsub().subscribe::<Sold>(ctx.topic());
        ctx.send_self(Holding(subscription));
        accept(Holder)
    }
}

impl<S: Socket> HandleInfo<S, Holding> for Holder {
    async fn handle_info(&mut self, _: Holding, _: &mut Context<S, Self>) -> Flow {
        noreply()
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_overflows_drops_nothing_while_a_broadcast_is_under_way() {
    socket!(HolderSocket: "holder" => Holder);
    let endpoint = endpoint();
    let mut client = connect_to::<HolderSocket>(&endpoint).await;
    client.send(json!(["1", "1", "holder", "phx_join", {}]));
    // Before the channel has run, the first broadcast waits in its mailbox, and the second one exceeds the limit.
    for _ in 0..2 {
        endpoint.broadcast("holder", "msg", json!({ "text": "x".repeat(1 << 20) })).unwrap();
    }
    client.expect([ok("1", "1", "holder", json!({})), phx_error("1", "holder")]).await;
    assert_eq!(endpoint.pubsub().topic_count(), 0);
}
