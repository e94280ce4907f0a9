//! `joined` runs once, after the join's reply and before everything else, and fails as any other callback does.

use crate::socket;
use crate::support::*;
use bennu_channels::SHUTDOWN_TIMEOUT;
use bennu_channels::prelude::*;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Does in `joined` as its params request.
struct Guest {
    does: String,
}

struct Tick;

impl<S: Socket> Channel<S> for Guest {
    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        ctx.send_self(Tick);
        ctx.send_after(Duration::ZERO, Tick);
        accept_with(Guest { does: params.get("does")?.unwrap_or_default() }, json!({ "seat": 7 }))
    }

    async fn joined(&mut self, ctx: &mut Context<S, Self>) -> Flow {
        ctx.push("before", json!({}))?;
        match self.does.as_str() {
            "wait" => sleep(Duration::from_secs(1)).await,
            "hang" => std::future::pending().await,
            "fail" => return crash("on purpose"),
            "parse" => drop("seven".parse::<u8>()?),
            "panic" => panic!("on purpose"),
            "stop" => return stop(StopReason::Normal),
            _ => {}
        }
        ctx.broadcast("after", json!({}))?;
        noreply()
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, _: &mut Context<S, Self>) -> Handled {
        match event {
            "echo" => reply_ok(payload),
            _ => unhandled(event),
        }
    }

    async fn terminate(&mut self, reason: Terminate, _: &mut Context<S, Self>) {
        note(format!("{reason:?}"));
    }
}

impl<S: Socket> HandleInfo<S, Tick> for Guest {
    async fn handle_info(&mut self, _: Tick, ctx: &mut Context<S, Self>) -> Flow {
        ctx.push("tick", json!({}))?;
        noreply()
    }
}

socket!(TestSocket: "guest" => Guest);

fn pushed(event: &str) -> serde_json::Value {
    json!(["1", null, "guest", event, {}])
}

fn broadcast(event: &str) -> serde_json::Value {
    json!([null, null, "guest", event, {}])
}

#[tokio::test(start_paused = true)]
async fn it_comes_after_the_reply_and_before_messages_broadcasts_and_timers() {
    for does in ["", "wait"] {
        let mut client = connect::<TestSocket>().await;
        client.send_all([
            json!(["1", "1", "guest", "phx_join", { "does": does }]),
            json!(["1", "2", "guest", "echo", { "a": 1 }]),
        ]);
        client.expect([ok("1", "1", "guest", json!({ "seat": 7 })), pushed("before"), pushed("tick")]).await;
        // Its own broadcasts wait until it returns, as all broadcasts do, and keep their place behind earlier mail.
        let (echo, after) = (ok("1", "2", "guest", json!({ "a": 1 })), broadcast("after"));
        let expected = if does == "wait" { [echo, after] } else { [after, echo] };
        client.expect(expected).await;
        client.expect([pushed("tick")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_the_client_has_the_reply_and_the_pushes_and_nothing_else_is_delayed() {
    let mut client = connect::<TestSocket>().await;
    let started = Instant::now();
    client.send(json!(["1", "1", "guest", "phx_join", { "does": "wait" }]));
    client.expect([ok("1", "1", "guest", json!({ "seat": 7 })), pushed("before")]).await;
    client.expect_heartbeat().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    client.expect([pushed("tick"), broadcast("after")]).await;
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_error_or_a_panic_in_it_crashes_the_channel_which_has_joined() {
    quiet_panics();
    for (does, why) in [("fail", "on purpose"), ("parse", "invalid digit"), ("panic", "panicked: on purpose")] {
        let log = Log::capture();
        let endpoint = endpoint();
        let mut client = connect_to::<TestSocket>(&endpoint).await;
        client.send(json!(["1", "1", "guest", "phx_join", { "does": does }]));
        client.expect([ok("1", "1", "guest", json!({ "seat": 7 })), pushed("before"), phx_error("1", "guest")]).await;
        client.expect_nothing().await;
        let errors = log.of("ERROR");
        assert!(errors[0].contains("callback=joined") && errors[0].contains(why), "{errors:?}");
        assert!(notes()[0].starts_with("Crashed("));
        assert_eq!((endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0));
        client.join("guest", "2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_can_stop_its_channel() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", "guest", "phx_join", { "does": "stop" }]));
    client.expect([ok("1", "1", "guest", json!({ "seat": 7 })), pushed("before"), phx_close("1", "guest")]).await;
    assert_eq!(notes(), ["Stopped"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_dropped_a_shutdown_timeout_after_its_client_has_left() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", "guest", "phx_join", { "does": "hang" }]));
    client.expect([ok("1", "1", "guest", json!({ "seat": 7 })), pushed("before")]).await;
    let left = Instant::now();
    client.send(json!(["1", "2", "guest", "phx_leave", {}]));
    client.expect([phx_close("1", "guest")]).await;
    assert_eq!(left.elapsed(), SHUTDOWN_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_hangs_is_logged_once_after_five_seconds() {
    struct Slow;
    impl<S: Socket> Channel<S> for Slow {
        async fn join(_: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
            sleep(Duration::from_secs(params.get("s")?.unwrap_or_default())).await;
            accept(Slow)
        }
    }
    socket!(Sluggish: "slow" => Slow);
    let log = Log::capture();
    let mut client = connect::<Sluggish>().await;
    client.send(json!(["1", "1", "slow", "phx_join", { "s": 3600 }]));
    sleep(Duration::from_millis(4999)).await;
    assert_eq!(log.of("WARN"), [""; 0]);
    client.expect([ok("1", "1", "slow", json!({}))]).await;
    let warnings = log.of("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("join has not returned yet") && warnings[0].contains("channel=\"Slow\" after=5s"));
}
