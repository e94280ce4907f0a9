//! The ends of channels: each runs `terminate` once, and the client receives `phx_close` or `phx_error`.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::{Handled, SHUTDOWN_TIMEOUT};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Notes why it ends.
struct Mortal {
    name: String,
    slow_terminate: Duration,
}

impl<S: Socket> Channel<S> for Mortal {
    async fn join(topic: &str, params: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        let seconds = params.get("slow_terminate")?.unwrap_or(0);
        let name = params.get("name")?.unwrap_or_else(|| topic.to_owned());
        accept(Mortal { name, slow_terminate: Duration::from_secs(seconds) })
    }

    async fn handle_in(&mut self, event: &str, _: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({})),
            "stop_normal" => stop(StopReason::Normal),
            "stop_shutdown" => stop(StopReason::Shutdown),
            "stop_failed" => stop(StopReason::Failed("oops".into())),
            "reply_normal" => stop_with(StopReason::Normal, Reply::ok(json!({ "m": 1 }))),
            "reply_shutdown" => stop_with(StopReason::Shutdown, Reply::new("teapot", json!({ "m": 1 }))),
            "reply_failed" => stop_with(StopReason::Failed("oops".into()), Reply::error(json!({ "m": 1 }))),
            "stuck" => {
                note("stuck");
                let _noted = Noted("dropped while stuck");
                std::future::pending::<()>().await;
                noreply()
            }
            "slow" => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                reply_ok(json!({ "slow": true }))
            }
            "push_and_stop" => {
                ctx.push("last", json!({}))?;
                stop(StopReason::Normal)
            }
            _ => unhandled(event),
        }
    }

    async fn terminate(&mut self, reason: Terminate, ctx: &mut Context<S, Self>) {
        note(format!("{} terminates: {reason:?}", self.name));
        let _ = ctx.push("terminating", json!({}));
        tokio::time::sleep(self.slow_terminate).await;
        note(format!("{} has terminated", self.name));
    }
}

struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        note(self.0);
    }
}

socket!(TestSocket: "room:*" => Mortal);

const ROOM: &str = "room:1";

fn terminating(join_ref: &str) -> serde_json::Value {
    json!([join_ref, null, ROOM, "terminating", {}])
}

/// Joins, sends one event, and compares the frames and the reason of `terminate`.
async fn stops(event: &str, frames: &[serde_json::Value], reason: &str) {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send(json!(["1", "2", ROOM, event, {}]));
    for frame in frames {
        assert_eq!(&client.next().await, frame);
    }
    client.expect_nothing().await;
    assert_eq!(notes(), [format!("{ROOM} terminates: {reason}"), format!("{ROOM} has terminated")]);
    client.send(json!(["1", "3", ROOM, "ping", {}]));
    client.expect([unmatched("3", ROOM)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_stops_normally_or_for_a_shutdown_closes() {
    stops("stop_normal", &[terminating("1"), phx_close("1", ROOM)], "Stopped").await;
    stops("stop_shutdown", &[terminating("1"), phx_close("1", ROOM)], "Stopped").await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_stops_because_of_a_failure_crashes() {
    stops("stop_failed", &[terminating("1"), phx_error("1", ROOM)], r#"Crashed("stopped: oops")"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_comes_before_the_end_of_a_channel_that_stops_with_it() {
    let m = json!({ "m": 1 });
    let teapot = json!(["1", "2", ROOM, "phx_reply", { "status": "teapot", "response": m }]);
    let (close, failed) = (phx_close("1", ROOM), phx_error("1", ROOM));
    stops("reply_normal", &[ok("1", "2", ROOM, m.clone()), terminating("1"), close.clone()], "Stopped").await;
    stops("reply_shutdown", &[teapot, terminating("1"), close], "Stopped").await;
    let crashed = r#"Crashed("stopped: oops")"#;
    stops("reply_failed", &[error("1", "2", ROOM, m), terminating("1"), failed], crashed).await;
}

#[tokio::test(start_paused = true)]
async fn pushes_before_a_stop_come_before_the_end() {
    let last = json!(["1", null, ROOM, "last", {}]);
    stops("push_and_stop", &[last, terminating("1"), phx_close("1", ROOM)], "Stopped").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_terminates_with_the_text_of_the_log() {
    stops("nope", &[terminating("1"), phx_error("1", ROOM)], r#"Crashed("no handler for event \"nope\"")"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_is_answered_then_the_channel_terminates_then_it_is_closed() {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send_all([
        json!(["1", "2", ROOM, "ping", {}]),
        json!(["1", "3", ROOM, "phx_leave", {}]),
        json!(["1", "4", ROOM, "ping", {}]),
        json!(["1", "5", ROOM, "phx_leave", {}]),
    ]);
    client
        .expect([ok("1", "2", ROOM, json!({})), ok("1", "3", ROOM, json!({})), terminating("1"), phx_close("1", ROOM)])
        .await;
    client.expect_nothing().await;
    assert_eq!(notes(), ["room:1 terminates: Left", "room:1 has terminated"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_join_replaces_the_first_which_terminates_before_the_second_begins() {
    let mut client = connect::<TestSocket>().await;
    client.join_with(ROOM, "1", json!({ "name": "first", "slow_terminate": 2 })).await;
    client.send_all([
        json!(["2", "2", ROOM, "phx_join", { "name": "second" }]),
        json!(["2", "3", ROOM, "ping", {}]),
        json!(["1", "4", ROOM, "ping", {}]),
    ]);
    client
        .expect([terminating("1"), ok("2", "2", ROOM, json!({})), phx_close("1", ROOM), ok("2", "3", ROOM, json!({}))])
        .await;
    client.expect_nothing().await;
    assert_eq!(notes(), ["first terminates: Replaced", "first has terminated"]);
}

#[tokio::test(start_paused = true)]
async fn leave_and_join_in_one_write_is_the_leave_reply_then_phx_close_then_the_join_reply() {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send_all([
        json!(["1", "2", ROOM, "phx_leave", {}]),
        json!(["3", "3", ROOM, "phx_join", {}]),
        json!(["3", "4", ROOM, "ping", {}]),
    ]);
    client
        .expect([
            ok("1", "2", ROOM, json!({})),
            terminating("1"),
            phx_close("1", ROOM),
            ok("3", "3", ROOM, json!({})),
            ok("3", "4", ROOM, json!({})),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn closing_a_connection_runs_the_terminate_of_every_channel() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    let mut other = connect_to::<TestSocket>(&endpoint).await;
    for n in 1..=3 {
        client.join(&format!("room:{n}"), &n.to_string()).await;
    }
    other.join("room:4", "1").await;
    client.hang_up();
    rest().await;
    let mut noted = notes();
    noted.sort();
    let expected = (1..=3)
        .flat_map(|n| [format!("room:{n} has terminated"), format!("room:{n} terminates: Closed")])
        .collect::<Vec<_>>();
    assert_eq!(noted, expected);
    assert_eq!((endpoint.connection_count(), endpoint.channel_count()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_when_the_connection_closes_are_handled_before_the_end() {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send_all([json!(["1", "2", ROOM, "slow", {}]), json!(["1", "3", ROOM, "ping", {}])]);
    client.hang_up();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(notes(), ["room:1 terminates: Closed", "room:1 has terminated"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stuck_when_its_client_leaves_is_dropped_after_the_shutdown_timeout() {
    let mut client = connect::<TestSocket>().await;
    let log = Log::capture();
    client.join(ROOM, "1").await;
    client.send(json!(["1", "2", ROOM, "stuck", {}]));
    client.expect_nothing().await;
    let left = Instant::now();
    client.send(json!(["1", "3", ROOM, "phx_leave", {}]));
    client.expect([phx_close("1", ROOM)]).await;
    let took = left.elapsed();
    assert!(took >= SHUTDOWN_TIMEOUT && took < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{took:?}");
    assert_eq!(notes(), ["stuck", "dropped while stuck"], "there is no terminate for a channel that is killed");
    assert!(
        log.of("ERROR")[0]
            .ends_with(r#"callback=handle_in("stuck") why="still running 5s after the channel began to end""#),
        "{:?}",
        log.lines()
    );
    client.join(ROOM, "4").await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stuck_when_too_much_waits_for_it_crashes_after_the_shutdown_timeout() {
    let log = Log::capture();
    let mut connecting = Connecting::to(&endpoint());
    connecting.limits.mailbox_bytes = 1000;
    let mut client = connecting.open::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send(json!(["1", "2", ROOM, "stuck", {}]));
    client.expect_nothing().await;
    let flooded = Instant::now();
    for n in 3..20 {
        client.send(json!(["1", n.to_string(), ROOM, "ping", {}]));
    }
    client.expect([json!(["1", null, ROOM, "terminating", {}]), phx_error("1", ROOM)]).await;
    assert!(flooded.elapsed() - SHUTDOWN_TIMEOUT < Duration::from_secs(1), "{:?}", flooded.elapsed());
    let why = log.of("ERROR").remove(0);
    assert!(why.contains(r#"callback=handle_in("stuck") why="mailbox full: "#), "{why}");
    assert!(why.ends_with(r#"the limit is 1000, and it was still running 5s later""#), "{why}");
    client.join(ROOM, "20").await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stuck_when_its_connection_closes_is_dropped_after_the_shutdown_timeout() {
    let endpoint = endpoint();
    let mut client = connect_to::<TestSocket>(&endpoint).await;
    client.join(ROOM, "1").await;
    client.send(json!(["1", "2", ROOM, "stuck", {}]));
    client.expect_nothing().await;
    client.hang_up();
    tokio::time::sleep(SHUTDOWN_TIMEOUT - Duration::from_millis(1)).await;
    assert_eq!(endpoint.channel_count(), 1);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!((endpoint.channel_count(), endpoint.pubsub().topic_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_stuck_when_it_is_replaced_makes_way_after_the_shutdown_timeout() {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send_all([json!(["1", "2", ROOM, "stuck", {}]), json!(["3", "3", ROOM, "phx_join", {}])]);
    client.expect([ok("3", "3", ROOM, json!({})), phx_close("1", ROOM)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_needs_less_than_the_shutdown_timeout_finishes_and_is_answered() {
    let mut client = connect::<TestSocket>().await;
    client.join(ROOM, "1").await;
    client.send_all([json!(["1", "2", ROOM, "slow", {}]), json!(["1", "3", ROOM, "phx_leave", {}])]);
    client
        .expect([
            ok("1", "2", ROOM, json!({ "slow": true })),
            ok("1", "3", ROOM, json!({})),
            terminating("1"),
            phx_close("1", ROOM),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_terminate_that_is_stuck_is_dropped_after_the_shutdown_timeout() {
    let mut client = connect::<TestSocket>().await;
    client.join_with(ROOM, "1", json!({ "slow_terminate": 3600 })).await;
    let left = Instant::now();
    client.send(json!(["1", "2", ROOM, "phx_leave", {}]));
    client.expect([ok("1", "2", ROOM, json!({})), terminating("1"), phx_error("1", ROOM)]).await;
    assert!(left.elapsed() < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{:?}", left.elapsed());
    assert_eq!(notes(), ["room:1 terminates: Left"]);
}

#[tokio::test(start_paused = true)]
async fn a_terminate_that_is_stuck_in_a_channel_that_stopped_by_itself_is_dropped_too() {
    let mut client = connect::<TestSocket>().await;
    client.join_with(ROOM, "1", json!({ "slow_terminate": 3600 })).await;
    let stopped = Instant::now();
    client.send(json!(["1", "2", ROOM, "stop_normal", {}]));
    client.expect([terminating("1"), phx_error("1", ROOM)]).await;
    assert!(stopped.elapsed() < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{:?}", stopped.elapsed());
}
