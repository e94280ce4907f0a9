//! Virtual time: the waits that take no real time, and the tasks that stop the clock.

use crate::support::{Tick, UserSocket, room};
use bennu_testkit::prelude::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn an_hour_takes_no_real_time_and_its_timers_fire() {
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
async fn an_assertion_with_an_earlier_arrival_takes_no_virtual_time() {
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
async fn an_arrival_exactly_at_the_end_of_the_timeout_counts() {
    let room = room().await;
    room.push("after", json!({ "ms": 1000 }));
    assert_push!(room, "tick", _, Duration::from_secs(1));
}

#[tokio::test]
async fn the_clock_stands_still_while_a_blocking_task_runs() {
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
async fn resumed_time_is_real() {
    let room = room().await;
    tokio::time::resume();
    let started = std::time::Instant::now();
    refute_push!(room);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn in_real_time_an_assertion_waits_for_a_slow_outside_world() {
    let room = room().await;
    tokio::time::resume();
    let channel = room.clone();
    let outside = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(200)));
    tokio::spawn(async move {
        outside.await.unwrap();
        channel.send::<crate::support::Room, _>(Tick("outside"));
    });
    assert_push!(room, "tick", json!({ "from": "outside" }));
}

#[tokio::test(start_paused = true)]
async fn a_test_whose_clock_is_paused_already_works() {
    ChannelTest::new().socket(UserSocket { user: 1 }).join("room:1", json!({})).await.unwrap();
}
