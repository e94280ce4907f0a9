//! A join misses no broadcast, and the broadcasts of one sender arrive in their order, whether the channel intercepts them
//! or not.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::transport::Limits;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Reads a snapshot in `join`, and then has the broadcast sent which a snapshot that was read too early would miss.
struct Counter;

impl<S: Socket> Channel<S> for Counter {
    const INTERCEPT: &'static [&'static str] = &["secret"];

    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        let snapshot = json!({ "count": 0 });
        ctx.endpoint().broadcast(ctx.topic(), "count", json!({ "n": 1 }))?;
        sleep(Duration::from_millis(params.get("ms")?.unwrap_or_default())).await;
        ctx.endpoint().broadcast(ctx.topic(), "secret", json!({ "n": 2 }))?;
        ctx.endpoint().broadcast(ctx.topic(), "count", json!({ "n": 3 }))?;
        match params.get::<String>("how")?.as_deref() {
            Some("refuse") => refuse(json!({ "reason": "full" })),
            Some("crash") => crash("on purpose"),
            _ => accept_with(Counter, snapshot),
        }
    }

    async fn joined(&mut self, ctx: &mut Context<S, Self>) -> Flow {
        ctx.push("welcome", json!({}))?;
        noreply()
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        sleep(Duration::from_millis(10)).await;
        ctx.push(&format!("{event}_out"), payload)?;
        noreply()
    }
}

/// Broadcasts as often as its client requests, in one handler.
struct Auction;

impl<S: Socket> Channel<S> for Auction {
    const INTERCEPT: &'static [&'static str] = &["bid"];

    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Auction)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "last_bid" => {
                ctx.broadcast("bid", &payload)?;
                ctx.broadcast("ended", json!({}))?;
                reply_ok(json!({}))
            }
            _ => unhandled(event),
        }
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        sleep(Duration::from_millis(payload.get("ms")?.unwrap_or_default())).await;
        ctx.push(event, payload)?;
        noreply()
    }
}

socket!(TestSocket: "counter" => Counter, "auction" => Auction);

fn sent(topic: &str, event: &str, payload: Value) -> Value {
    json!([null, null, topic, event, payload])
}

fn pushed(topic: &str, event: &str, payload: Value) -> Value {
    json!(["1", null, topic, event, payload])
}

#[tokio::test(start_paused = true)]
async fn broadcasts_during_a_join_come_after_its_reply_and_after_joined_in_order() {
    for ms in [0, 100] {
        let mut client = connect::<TestSocket>().await;
        client.send(json!(["1", "1", "counter", "phx_join", { "ms": ms }]));
        client
            .expect([
                ok("1", "1", "counter", json!({ "count": 0 })),
                pushed("counter", "welcome", json!({})),
                sent("counter", "count", json!({ "n": 1 })),
                pushed("counter", "secret_out", json!({ "n": 2 })),
                sent("counter", "count", json!({ "n": 3 })),
            ])
            .await;
        client.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn broadcasts_for_a_join_that_is_refused_or_crashes_are_dropped_and_nothing_stays_subscribed() {
    quiet_panics();
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    for (how, reason) in [("refuse", "full"), ("crash", "join crashed")] {
        client.send(json!(["1", "1", "counter", "phx_join", { "how": how, "ms": 100 }]));
        assert_eq!(endpoint.pubsub().subscriber_count("counter"), 1, "it is subscribed from the start");
        client.expect([error("1", "1", "counter", json!({ "reason": reason }))]).await;
        client.expect_nothing().await;
        assert_eq!(endpoint.pubsub().topic_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn broadcasts_that_wait_for_a_join_are_bounded_as_the_mailbox_is() {
    let log = Log::capture();
    let endpoint = endpoint();
    let mut connecting = Connecting::to(&endpoint);
    connecting.limits = Limits { mailbox_bytes: 10_000, ..Limits::default() };
    let mut client = connecting.open::<TestSocket>().await;
    client.send(json!(["1", "1", "counter", "phx_join", { "ms": 100 }]));
    for _ in 0..1000 {
        endpoint.broadcast("counter", "count", json!({ "text": "x".repeat(100) })).unwrap();
    }
    client.expect([ok("1", "1", "counter", json!({ "count": 0 }))]).await;
    client.expect([pushed("counter", "welcome", json!({})), phx_error("1", "counter")]).await;
    client.expect_nothing().await;
    assert!(log.of("ERROR")[0].contains("mailbox full: "), "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_waits_behind_an_intercepted_one_and_takes_the_fastlane_again_afterwards() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("auction", "1").await;
    endpoint.broadcast("auction", "bid", json!({ "ms": 1000 })).unwrap();
    endpoint.broadcast("auction", "ended", json!({ "n": 1 })).unwrap();
    endpoint.broadcast("auction", "ended", json!({ "n": 2 })).unwrap();
    client.expect_heartbeat().await;
    client
        .expect([
            pushed("auction", "bid", json!({ "ms": 1000 })),
            sent("auction", "ended", json!({ "n": 1 })),
            sent("auction", "ended", json!({ "n": 2 })),
        ])
        .await;
    client.expect_nothing().await;
    endpoint.broadcast("auction", "ended", json!({ "n": 3 })).unwrap();
    // Before any task has run: it did not go through the channel.
    assert_eq!(client.take_waiting(), [sent("auction", "ended", json!({ "n": 3 }))]);
}

#[tokio::test(start_paused = true)]
async fn a_channels_own_broadcasts_keep_their_order() {
    let mut bidder = connect::<TestSocket>().await;
    bidder.join("auction", "1").await;
    bidder.send(json!(["1", "2", "auction", "last_bid", { "ms": 5 }]));
    // A handler's reply and its own intercepted broadcast have no order: the broadcast waits for the handler to return.
    bidder.expect([ok("1", "2", "auction", json!({}))]).await;
    bidder.expect([pushed("auction", "bid", json!({ "ms": 5 })), sent("auction", "ended", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn broadcasts_that_wait_behind_an_intercepted_one_are_bounded_as_the_mailbox_is() {
    let endpoint = endpoint();
    let mut connecting = Connecting::to(&endpoint);
    connecting.limits = Limits { mailbox_bytes: 10_000, ..Limits::default() };
    let mut client = connecting.open::<TestSocket>().await;
    client.join("auction", "1").await;
    endpoint.broadcast("auction", "bid", json!({ "ms": 1000 })).unwrap();
    rest().await;
    for _ in 0..1000 {
        endpoint.broadcast("auction", "ended", json!({ "text": "x".repeat(100) })).unwrap();
    }
    client.expect([pushed("auction", "bid", json!({ "ms": 1000 })), phx_error("1", "auction")]).await;
    client.expect_nothing().await;
}

/// The sender counts a held broadcast and the actor releases it, each on a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcasts_of_another_thread_keep_their_order() {
    const COUNT: u64 = 5000;
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join("auction", "1").await;
    let sending = std::thread::spawn(move || {
        for n in 0..COUNT {
            // Runs of both kinds, so that the count often falls to zero in between.
            let event = if n % 7 < 2 { "bid" } else { "ended" };
            endpoint.broadcast("auction", event, json!({ "n": n, "ms": 0 })).unwrap();
        }
    });
    for n in 0..COUNT {
        assert_eq!(client.next().await[4]["n"], n);
    }
    sending.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_senders_broadcasts_arrive_in_order(
        steps in prop::collection::vec((any::<bool>(), 0..4_u64, 0..4_u64), 1..40),
        ms in 0..20_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let endpoint = endpoint();
            let mut client = connect_to::<TestSocket>(&endpoint).await;
            client.send(json!(["1", "1", "auction", "phx_join", { "ms": ms }]));
            let mut expected = Vec::new();
            for (n, (intercepted, ms, pause)) in steps.into_iter().enumerate() {
                let (event, payload) = (if intercepted { "bid" } else { "ended" }, json!({ "n": n, "ms": ms }));
                endpoint.broadcast("auction", event, payload.clone()).unwrap();
                expected.push(json!([event, payload]));
                if pause > 0 {
                    sleep(Duration::from_millis(pause)).await;
                }
            }
            client.expect([ok("1", "1", "auction", json!({}))]).await;
            for expected in expected {
                let arrived = client.next().await;
                assert_eq!(json!([arrived[3], arrived[4]]), expected);
            }
            client.expect_nothing().await;
        });
    }
}
