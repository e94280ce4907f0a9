//! A channel's own tasks: beside its messages, bounded, and never longer than the channel.

use crate::socket;
use crate::support::{
    Client, Connecting, Log, connect, connect_to, endpoint, error, note, notes, ok, phx_close, phx_error, quiet_panics,
    rest,
};
use bennu_channels::prelude::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const WORK: Duration = Duration::from_secs(3);

/// Notes when it is dropped.
struct Note(&'static str);

impl Drop for Note {
    fn drop(&mut self) {
        note(self.0);
    }
}

/// Works for three seconds on each request, in tasks of its own, at most `MAX` at a time.
struct Work<const MAX: usize>;

impl<S: Socket, const MAX: usize> Channel<S> for Work<MAX> {
    const MAX_TASKS: usize = MAX;

    async fn join(_: &str, params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        for _ in 0..params.get("tasks")?.unwrap_or(0) {
            ctx.spawn(async {
                sleep(WORK).await;
                noreply()
            });
        }
        if params.get("refuse")?.unwrap_or(false) { refuse(json!({})) } else { accept(Work) }
    }

    async fn handle_in(&mut self, event: &str, _: Payload, ctx: &mut Context<S, Self>) -> Handled {
        let reply = ctx.reply_ref().expect("a message is handled");
        match event {
            "at once" => return reply_ok(json!({})),
            "stop" => return stop(StopReason::Normal),
            "work" => {
                let over = Note("work is over");
                ctx.spawn(async move {
                    let _over = over;
                    sleep(WORK).await;
                    reply.ok(json!({}))?;
                    noreply()
                })
            }
            "panic" => ctx.spawn(async move {
                sleep(WORK).await;
                panic!("a task panics on purpose")
            }),
            "fail" => ctx.spawn(async move {
                sleep(WORK).await;
                let _: u32 = "x".parse()?;
                noreply()
            }),
            "stop later" => ctx.spawn(async move {
                sleep(WORK).await;
                stop(StopReason::Normal)
            }),
            "panic when dropped" => ctx.spawn(async move {
                let _panics = PanicsOnDrop;
                sleep(WORK).await;
                noreply()
            }),
            _ => return unhandled(event),
        }
        noreply()
    }

    async fn terminate(&mut self, reason: Terminate, _: &mut Context<S, Self>) {
        note(format!("terminate: {reason:?}"));
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a drop panics on purpose");
    }
}

socket!(Works: "two" => Work<2>, "many" => Work<100>, "one" => Work<1>);

fn push(topic: &str, reference: &str, event: &str) -> serde_json::Value {
    json!(["1", reference, topic, event, {}])
}

async fn joined(topic: &str) -> Client {
    let mut client = connect::<Works>().await;
    client.join(topic, "1").await;
    client
}

#[tokio::test(start_paused = true)]
async fn tasks_run_side_by_side_while_the_channel_goes_on_with_its_messages() {
    let mut client = joined("many").await;
    let began = Instant::now();
    client.send_all(["2", "3", "4", "5", "6"].map(|reference| push("many", reference, "work")));
    client.send(push("many", "7", "at once"));
    client.expect([ok("1", "7", "many", json!({}))]).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    client.expect(["2", "3", "4", "5", "6"].map(|reference| ok("1", reference, "many", json!({})))).await;
    assert!((WORK..WORK * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_nothing_more_is_taken_until_a_task_ends_and_order_is_kept() {
    let mut client = joined("two").await;
    let began = Instant::now();
    client.send_all(["2", "3", "4", "5", "6"].map(|reference| push("two", reference, "work")));
    client.send(push("two", "7", "at once"));
    for (references, rounds) in [(["2", "3"], 1), (["4", "5"], 2)] {
        client.expect(references.map(|reference| ok("1", reference, "two", json!({})))).await;
        assert_eq!(began.elapsed().as_secs(), (WORK * rounds).as_secs());
    }
    // The third round has room for one more message beside its one task.
    client.expect([ok("1", "7", "two", json!({}))]).await;
    assert_eq!(began.elapsed().as_secs(), (WORK * 2).as_secs());
    client.expect([ok("1", "6", "two", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_of_one_tasks_run_one_after_another() {
    let mut client = joined("one").await;
    let began = Instant::now();
    client.send_all(["2", "3", "4"].map(|reference| push("one", reference, "work")));
    for (reference, rounds) in [("2", 1), ("3", 2), ("4", 3)] {
        client.expect([ok("1", reference, "one", json!({}))]).await;
        assert_eq!(began.elapsed().as_secs(), (WORK * rounds).as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_join_has_started_count() {
    let mut client = connect::<Works>().await;
    client.join_with("two", "1", json!({ "tasks": 3 })).await;
    let began = Instant::now();
    client.send(push("two", "2", "at once"));
    client.expect([ok("1", "2", "two", json!({}))]).await;
    assert_eq!(began.elapsed().as_secs(), WORK.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_requests_more_than_may_wait_loses_that_channel_and_no_other() {
    let log = Log::capture();
    let mut connecting = Connecting::to(&endpoint());
    connecting.limits.mailbox_bytes = 1000;
    let mut client = connecting.open::<Works>().await;
    client.join("one", "1").await;
    client.join("many", "1").await;
    client.send(push("one", "2", "work"));
    rest().await;
    for reference in 3..20 {
        client.send(push("one", &reference.to_string(), "work"));
    }
    client.expect([phx_error("1", "one")]).await;
    client.send(push("many", "2", "at once"));
    client.expect([ok("1", "2", "many", json!({}))]).await;
    assert!(log.of("ERROR")[0].contains("callback=mailbox why=\"mailbox full"), "{:?}", log.of("ERROR"));
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_channel_still_ends_at_once() {
    let mut client = joined("one").await;
    let began = Instant::now();
    client.send_all([push("one", "2", "work"), push("one", "3", "work"), push("one", "4", "phx_leave")]);
    client.expect([ok("1", "4", "one", json!({})), phx_close("1", "one")]).await;
    assert_eq!((began.elapsed(), notes()), (Duration::ZERO, vec!["terminate: Left".into(), "work is over".into()]));
    client.expect_nothing().await;

    client.join("one", "5").await;
    client.send_all([json!(["5", "6", "one", "work", {}]), json!(["5", "7", "one", "work", {}])]);
    rest().await;
    client.hang_up();
    rest().await;
    assert_eq!(notes(), ["terminate: Closed", "work is over"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_dropped_before_the_client_receives_the_end_of_the_channel() {
    let mut client = joined("many").await;
    client.send_all([push("many", "2", "work"), push("many", "3", "stop")]);
    client.expect([phx_close("1", "many")]).await;
    assert_eq!(notes(), ["terminate: Stopped", "work is over"]);
    client.join("many", "4").await;
    client.send(json!(["4", "5", "many", "work", {}]));
    rest().await;
    // The new join waits for the end of the old one.
    client.send(json!(["6", "6", "many", "phx_join", {}]));
    client.expect([ok("6", "6", "many", json!({})), phx_close("4", "many")]).await;
    assert_eq!(notes(), ["terminate: Replaced", "work is over"]);
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_an_error_in_a_task_crashes_its_channel_and_nothing_else() {
    quiet_panics();
    for (event, why) in [("panic", "panicked: a task panics on purpose"), ("fail", "invalid digit found in string")] {
        let log = Log::capture();
        let mut client = joined("two").await;
        client.join("many", "1").await;
        client.send(push("two", "2", event));
        client.expect([phx_error("1", "two")]).await;
        client.send(push("many", "2", "at once"));
        client.expect([ok("1", "2", "many", json!({}))]).await;
        let expected = format!("ERROR channel crashed topic=\"two\" channel=\"Work\" callback=task why={why:?}");
        assert_eq!(log.of("ERROR"), [expected]);
        notes();
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_may_stop_its_channel() {
    let mut client = joined("many").await;
    client.send(push("many", "2", "stop later"));
    client.expect([phx_close("1", "many")]).await;
    assert_eq!(notes(), ["terminate: Stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_when_it_is_dropped_crashes_its_channel_and_nothing_else() {
    quiet_panics();
    let log = Log::capture();
    let mut client = joined("many").await;
    client.send(push("many", "2", "panic when dropped"));
    rest().await;
    client.send(push("many", "3", "stop"));
    client.expect([phx_error("1", "many")]).await;
    client.expect_heartbeat().await;
    assert!(
        log.of("ERROR")[0].ends_with("callback=task why=\"panicked: a drop panics on purpose\""),
        "{:?}",
        log.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_refused_takes_its_tasks_with_it() {
    let endpoint = endpoint();
    let mut client = connect_to::<Works>(&endpoint).await;
    client.send(json!(["1", "1", "two", "phx_join", { "tasks": 2, "refuse": true }]));
    client.expect([error("1", "1", "two", json!({}))]).await;
    rest().await;
    assert_eq!(endpoint.channel_count(), 0);
}
