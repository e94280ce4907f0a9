//! Timers of a channel: their order, cancelling, and that they end with it.

use crate::socket;
use crate::support::*;
use bennu_channels::Timer;
use bennu_channels::prelude::*;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
struct Clock {
    timer: Option<Timer>,
    rounds: u32,
}

struct Ring(String);

/// Sends itself the next one at once.
struct Again;

impl<S: Socket> Channel<S> for Clock {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Clock::default())
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "set" => {
                let (ms, name): (u64, String) = payload.parse()?;
                self.timer = Some(ctx.send_after(Duration::from_millis(ms), Ring(name)));
                noreply()
            }
            "set_forever" => {
                let timer = ctx.send_after(Duration::MAX, Ring("never".to_owned()));
                reply_ok(json!({ "cancelled": ctx.cancel(timer) }))
            }
            "cancel" => {
                let timer = self.timer.expect("set before");
                reply_ok(json!({ "cancelled": ctx.cancel(timer) }))
            }
            "slow" => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                reply_ok(json!({}))
            }
            "debounce" => {
                let last = self.timer.take().map(|timer| ctx.cancel(timer));
                self.timer = Some(ctx.send_after(Duration::from_secs(3600), Ring("idle".to_owned())));
                reply_ok(json!({ "last": last }))
            }
            "flood" => {
                ctx.send_after(Duration::ZERO, Ring("in the flood".to_owned()));
                ctx.send_self(Again);
                noreply()
            }
            _ => unhandled(event),
        }
    }

    async fn terminate(&mut self, _: Terminate, ctx: &mut Context<S, Self>) {
        ctx.send_after(Duration::ZERO, Ring("after the end".to_owned()));
    }
}

impl<S: Socket> HandleInfo<S, Ring> for Clock {
    async fn handle_info(&mut self, ring: Ring, ctx: &mut Context<S, Self>) -> Flow {
        note(format!("rings {}", ring.0));
        ctx.push("ring", json!({ "name": ring.0 }))?;
        if self.rounds > 0 { stop(StopReason::Normal) } else { noreply() }
    }
}

impl<S: Socket> HandleInfo<S, Again> for Clock {
    async fn handle_info(&mut self, _: Again, ctx: &mut Context<S, Self>) -> Flow {
        self.rounds += 1;
        if self.rounds > 10_000 {
            return stop(StopReason::Failed("the timer never came".into()));
        }
        ctx.send_self(Again);
        noreply()
    }
}

socket!(TestSocket: "clock" => Clock);

fn ring(name: &str) -> serde_json::Value {
    json!(["1", null, "clock", "ring", { "name": name }])
}

fn set(ms: u64, name: &str) -> serde_json::Value {
    json!(["1", "2", "clock", "set", [ms, name]])
}

#[tokio::test(start_paused = true)]
async fn timers_fire_when_they_are_due_and_those_of_one_instant_in_the_order_they_were_set() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    let started = Instant::now();
    client.send_all([set(3000, "late"), set(1000, "first"), set(1000, "second"), set(0, "now"), set(1000, "third")]);
    client.expect([ring("now")]).await;
    assert!(started.elapsed() < Duration::from_millis(10));
    client.expect([ring("first"), ring("second"), ring("third")]).await;
    assert!((1000..1010).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    client.expect([ring("late")]).await;
    assert!((3000..3010).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_cancelled_does_not_fire_and_one_that_has_fired_cannot_be_cancelled() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    let cancel = |reference: &str| json!(["1", reference, "clock", "cancel", {}]);
    client.send_all([set(1000, "a"), cancel("3"), cancel("4")]);
    client.expect([ok("1", "3", "clock", json!({ "cancelled": true }))]).await;
    client.expect([ok("1", "4", "clock", json!({ "cancelled": false }))]).await;
    client.send_all([set(1000, "b")]);
    client.expect([ring("b")]).await;
    client.send(cancel("5"));
    client.expect([ok("1", "5", "clock", json!({ "cancelled": false }))]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_due_while_a_handler_runs_waits_for_it() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    client.send_all([set(500, "a"), json!(["1", "3", "clock", "slow", {}])]);
    client.expect([ok("1", "3", "clock", json!({})), ring("a")]).await;
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_their_channel() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    client.send_all([set(1000, "a"), json!(["1", "3", "clock", "phx_leave", {}])]);
    client.expect([ok("1", "3", "clock", json!({})), phx_close("1", "clock")]).await;
    client.join("clock", "4").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    client.expect_nothing().await;
    assert_eq!(notes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_in_a_flood_of_messages() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    client.send(json!(["1", "2", "clock", "flood", {}]));
    client.expect([ring("in the flood"), phx_close("1", "clock")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_set_and_cancelled_again_and_again_is_one_timer() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    for n in 0..10_000 {
        client.send(json!(["1", n.to_string(), "clock", "debounce", {}]));
        let last = if n == 0 { json!(null) } else { json!(true) };
        client.expect([ok("1", &n.to_string(), "clock", json!({ "last": last }))]).await;
    }
    client.expect([ring("idle")]).await;
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_time_too_far_away_for_the_clock_is_far_away() {
    let mut client = connect::<TestSocket>().await;
    client.join("clock", "1").await;
    client.send(json!(["1", "2", "clock", "set_forever", {}]));
    client.expect([ok("1", "2", "clock", json!({ "cancelled": true }))]).await;
}
