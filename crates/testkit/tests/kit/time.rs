//! Virtual time: what takes none, and what the clock waits for.

use crate::support::{Tick, UserSocket, room};
use bennu_testkit::prelude::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn an_hour_takes_no_time_and_timers_fire_in_it() {
    let real = std::time::Instant::now();
    let room = room().await;
    let started = Instant::now();
    room.push("after", json!({ "ms": 3_599_000 }));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(room.mailbox(), [("tick", json!({ "from": "timer" }))]);
    assert_eq!(started.elapsed().as_secs(), 3600);
    assert!(real.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_assertion_takes_no_virtual_time_when_it_holds_already() {
    let room = room().await;
    room.push("push", json!({}));
    room.test().settle().await;
    let started = Instant::now();
    assert_push!(room, "pushed");
    assert_eq!(started.elapsed(), Duration::ZERO);
    refute_push!(room);
    assert!((Duration::from_millis(100)..Duration::from_millis(102)).contains(&started.elapsed()));
}

#[tokio::test]
async fn what_is_due_at_the_very_end_of_the_patience_still_counts() {
    let room = room().await;
    room.push("after", json!({ "ms": 1000 }));
    assert_push!(room, "tick", _, Duration::from_secs(1));
}

#[tokio::test]
async fn the_clock_stands_while_a_blocking_task_runs() {
    let room = room().await;
    let (channel, started) = (room.clone(), Instant::now());
    let blocking = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(200)));
    tokio::spawn(async move {
        blocking.await.unwrap();
        channel.send::<crate::support::Room, _>(Tick("blocking"));
    });
    assert_push!(room, "tick", json!({ "from": "blocking" }));
    assert!(started.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn time_that_was_resumed_is_real() {
    let room = room().await;
    tokio::time::resume();
    let started = std::time::Instant::now();
    refute_push!(room);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_test_whose_clock_is_stopped_already_is_as_good() {
    ChannelTest::new().socket(UserSocket { user: 1 }).join("room:1", json!({})).await.unwrap();
}
