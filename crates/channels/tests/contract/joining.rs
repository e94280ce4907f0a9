//! Joins run beside the connection. Messages that arrive during a join wait, in order and within a bound.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::transport::Limits;
use bennu_channels::{BroadcastError, NothingToReplyTo, PushError, SHUTDOWN_TIMEOUT};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Joins after `ms` milliseconds, when `deny` is not set.
struct Slow;

impl<S: Socket> Channel<S> for Slow {
    async fn join(_: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        let _noted = params.get::<bool>("note")?.map(|_| Noted);
        tokio::time::sleep(Duration::from_millis(params.get("ms")?.unwrap_or(300))).await;
        if params.get("deny")? == Some(true) {
            return refuse(json!({ "reason": "denied" }));
        }
        if params.get("crash")? == Some(true) {
            "not a number".parse::<u8>()?;
        }
        accept(Slow)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, _: &mut Context<S, Self>) -> Handled {
        match event {
            "echo" => reply_ok(payload),
            _ => unhandled(event),
        }
    }
}

struct Noted;

impl Drop for Noted {
    fn drop(&mut self) {
        note("join ended");
    }
}

/// Calls in `join` the operations that are allowed and those that are not.
struct Eager;

struct AfterJoin(&'static str);

impl<S: Socket> Channel<S> for Eager {
    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        assert_eq!(ctx.push("early", json!({})), Err(PushError::NotJoined));
        assert_eq!(ctx.broadcast("early", json!({})), Err(BroadcastError::NotJoined));
        assert_eq!(ctx.broadcast_from("early", json!({})), Err(BroadcastError::NotJoined));
        assert_eq!(ctx.reply_ref().unwrap_err(), NothingToReplyTo);
        ctx.send_self(AfterJoin("self"));
        ctx.channel().send(AfterJoin("ref")).expect("a channel that joins can be sent to");
        ctx.send_after(Duration::ZERO, AfterJoin("timer"));
        if let Some(reply) = params.get::<serde_json::Value>("reply")? {
            return accept_with(Eager, reply);
        }
        if params.get("push")? == Some(true) {
            ctx.push("early", json!({}))?;
        }
        accept(Eager)
    }
}

impl<S: Socket> HandleInfo<S, AfterJoin> for Eager {
    async fn handle_info(&mut self, message: AfterJoin, ctx: &mut Context<S, Self>) -> Flow {
        ctx.push("after_join", json!({ "by": message.0 }))?;
        noreply()
    }
}

socket!(TestSocket: "slow:*" => Slow, "eager" => Eager);

const SLOW: &str = "slow:1";

#[tokio::test(start_paused = true)]
async fn a_slow_join_blocks_neither_the_heartbeat_nor_other_topics() {
    let mut client = connect::<TestSocket>().await;
    client.send_all([
        json!(["1", "1", SLOW, "phx_join", { "ms": 1000 }]),
        json!(["2", "2", "slow:2", "phx_join", { "ms": 500 }]),
        json!(["2", "3", "slow:2", "echo", { "a": 1 }]),
    ]);
    client.expect_heartbeat().await;
    let started = Instant::now();
    client.expect([ok("2", "2", "slow:2", json!({})), ok("2", "3", "slow:2", json!({ "a": 1 }))]).await;
    client.expect([ok("1", "1", SLOW, json!({}))]).await;
    assert!(started.elapsed() < Duration::from_millis(1100), "side by side: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_join_that_needs_no_waiting_is_answered_before_the_next_message() {
    let mut client = connect::<TestSocket>().await;
    client.send_all([json!(["1", "1", "eager", "phx_join", {}]), json!([null, "2", "phoenix", "heartbeat", {}])]);
    client.expect([ok("1", "1", "eager", json!({}))]).await;
    assert_eq!(client.next().await[1], "2");
}

#[tokio::test(start_paused = true)]
async fn messages_sent_while_a_join_is_pending_are_handled_after_it_in_order() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", SLOW, "phx_join", {}]));
    for n in 2..50 {
        client.send(json!(["1", n.to_string(), SLOW, "echo", { "n": n }]));
    }
    client.expect([ok("1", "1", SLOW, json!({}))]).await;
    for n in 2..50 {
        client.expect([ok("1", &n.to_string(), SLOW, json!({ "n": n }))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_sent_to_a_join_that_is_refused_are_unmatched() {
    let mut client = connect::<TestSocket>().await;
    client.send_all([
        json!(["1", "1", SLOW, "phx_join", { "deny": true }]),
        json!(["1", "2", SLOW, "echo", {}]),
        json!(["1", "3", SLOW, "echo", {}]),
    ]);
    client
        .expect([error("1", "1", SLOW, json!({ "reason": "denied" })), unmatched("2", SLOW), unmatched("3", SLOW)])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_that_waits_for_a_join_that_is_refused_or_crashes_succeeds() {
    let mut client = connect::<TestSocket>().await;
    for (why, reason) in [("deny", "denied"), ("crash", "join crashed")] {
        client.send_all([
            json!(["1", "1", SLOW, "phx_join", { why: true }]),
            json!(["1", "2", SLOW, "echo", {}]),
            json!(["1", "3", SLOW, "phx_leave", {}]),
        ]);
        client
            .expect([
                error("1", "1", SLOW, json!({ "reason": reason })),
                unmatched("2", SLOW),
                ok("1", "3", SLOW, json!({})),
            ])
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leave_that_waits_for_a_join_is_answered_after_it() {
    let mut client = connect::<TestSocket>().await;
    client.send_all([json!(["1", "1", SLOW, "phx_join", {}]), json!(["1", "2", SLOW, "phx_leave", {}])]);
    client.expect([ok("1", "1", SLOW, json!({})), ok("1", "2", SLOW, json!({})), phx_close("1", SLOW)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_that_never_ends_is_dropped_a_shutdown_timeout_after_its_client_has_left() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", SLOW, "phx_join", { "ms": 3_600_000, "note": true }]));
    client.expect_nothing().await;
    let left = Instant::now();
    client.send(json!(["1", "2", SLOW, "phx_leave", {}]));
    client.expect([error("1", "1", SLOW, json!({ "reason": "join crashed" })), ok("1", "2", SLOW, json!({}))]).await;
    assert!(left.elapsed() < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{:?}", left.elapsed());
    assert_eq!(notes(), ["join ended"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_while_joining_leaves_nothing_behind() {
    let endpoint = endpoint();
    let client = connect_to::<TestSocket>(&endpoint).await;
    client.send_all([
        json!(["1", "1", SLOW, "phx_join", {}]),
        json!(["2", "2", "slow:2", "phx_join", { "deny": true }]),
        json!(["3", "3", "slow:3", "phx_join", {}]),
        json!(["4", "4", "slow:3", "phx_join", {}]),
    ]);
    assert_eq!(endpoint.channel_count(), 3);
    client.hang_up();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn past_the_mailbox_limit_the_mail_is_dropped_and_the_channel_crashes_with_the_bound() {
    let log = Log::capture();
    let mut connecting = Connecting::to(&endpoint());
    connecting.limits = Limits { mailbox_bytes: 1000, ..Limits::default() };
    let mut client = connecting.open::<TestSocket>().await;
    client.send(json!(["1", "1", SLOW, "phx_join", {}]));
    for n in 2..20 {
        client.send(json!(["1", n.to_string(), SLOW, "echo", { "text": "x".repeat(100) }]));
    }
    client.expect_heartbeat().await;
    client.expect([ok("1", "1", SLOW, json!({})), phx_error("1", SLOW)]).await;
    client.expect_nothing().await;
    let errors = log.of("ERROR");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("callback=mailbox why=\"mailbox full: "), "{errors:?}");
    assert!(errors[0].ends_with("the limit is 1000\""), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn long_events_and_refs_count_towards_the_mailbox_limit() {
    for (reference, event) in [("1".to_owned(), "e".repeat(2000)), ("1".repeat(2000), "e".to_owned())] {
        let log = Log::capture();
        let mut connecting = Connecting::to(&endpoint());
        connecting.limits = Limits { mailbox_bytes: 10_000, ..Limits::default() };
        let mut client = connecting.open::<TestSocket>().await;
        client.send(json!(["1", "1", SLOW, "phx_join", {}]));
        for _ in 0..10 {
            client.send(json!(["1", reference, SLOW, event, {}]));
        }
        client.expect([ok("1", "1", SLOW, json!({})), phx_error("1", SLOW)]).await;
        assert!(log.of("ERROR")[0].contains("callback=mailbox why=\"mailbox full: "), "{:?}", log.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_join_to_itself_are_handled_after_the_join_reply() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", "eager", "phx_join", {}]));
    client.expect([ok("1", "1", "eager", json!({}))]).await;
    for by in ["self", "ref", "timer"] {
        client.expect([json!(["1", null, "eager", "after_join", { "by": by }])]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_can_choose_its_reply() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", "eager", "phx_join", { "reply": { "messages": [1, 2] } }]));
    client.expect([ok("1", "1", "eager", json!({ "messages": [1, 2] }))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_push_in_join_is_an_error_with_its_remedy() {
    let log = Log::capture();
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", "eager", "phx_join", { "push": true }]));
    client.expect([error("1", "1", "eager", json!({ "reason": "join crashed" }))]).await;
    client.expect_nothing().await;
    assert!(
        log.of("ERROR")[0]
            .contains("a channel cannot push inside `join`: return `accept_with(..)`, or push from `joined`"),
        "{:?}",
        log.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn joins_past_the_most_channels_are_refused_and_do_not_run() {
    let endpoint = endpoint();
    let mut connecting = Connecting::to(&endpoint);
    connecting.limits = Limits { max_channels: 2, ..Limits::default() };
    let mut client = connecting.open::<TestSocket>().await;
    client.send_all((1..=3).map(|n| json!([n.to_string(), n.to_string(), format!("slow:{n}"), "phx_join", {}])));
    client.expect([error("3", "3", "slow:3", json!({ "reason": "too many channels joined" }))]).await;
    assert_eq!(endpoint.channel_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_messages_of_a_channel_carry_the_join_ref() {
    let mut client = connect::<TestSocket>().await;
    // Without a join_ref the join's own ref takes its place, as in Phoenix; the ends carry the client's join_ref.
    for (join_ref, reference, carried) in
        [(json!("7"), json!("9"), json!("7")), (json!(null), json!("1"), json!("1")), (json!(1), json!(2), json!(1))]
    {
        client.send(json!([join_ref, reference, "eager", "phx_join", {}]));
        let reply = client.next().await;
        assert_eq!((&reply[0], &reply[1]), (&join_ref, &reference));
        for _ in 0..3 {
            let push = client.next().await;
            assert_eq!((&push[0], &push[1]), (&carried, &json!(null)));
        }
        client.send(json!([join_ref, "10", "eager", "nope", {}]));
        let end = client.next().await;
        assert_eq!((&end[0], &end[1], &end[3]), (&join_ref, &join_ref, &json!("phx_error")));
    }
}
