//! `valid` and `invalid` on the measured socket: counters, timings, and the order of replies.

use bennu_testkit::prelude::*;
use hello_sockets::StatsSocket;
use std::time::Duration;
use tokio::time::Instant;

const SLOW: Duration = Duration::from_secs(3);

/// The time limit of a reply, in virtual time.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn join(topic: &str) -> TestChannel<StatsSocket> {
    ChannelTest::new().socket(StatsSocket).subscribe_and_join(topic, json!({})).await.unwrap()
}

/// Pushes an event `times` times at once and returns the time until each reply, in seconds.
async fn push_many(channel: &TestChannel<StatsSocket>, event: &str, times: usize) -> Vec<u64> {
    let started = Instant::now();
    let references: Vec<_> = (0..times).map(|_| channel.push(event, json!({}))).collect();
    let mut seconds = Vec::new();
    for reference in references {
        assert_reply!(reference, ok, json!({ "ping": "pong" }), TIMEOUT);
        seconds.push(started.elapsed().as_secs());
    }
    seconds
}

#[tokio::test]
async fn a_connect_is_counted() {
    let metrics = capture_metrics();
    let test = ChannelTest::new();
    test.connect::<StatsSocket>(json!({})).await.unwrap();
    test.connect::<StatsSocket>(json!({})).await.unwrap();
    assert_eq!(metrics.counter("socket_connect", &[("status", "success"), ("socket", "StatsSocket")]), 2);
}

#[tokio::test]
async fn joins_are_counted_by_their_result() {
    let metrics = capture_metrics();
    let socket = ChannelTest::new().socket(StatsSocket);
    assert!(socket.join("valid", json!({})).await.is_ok());
    for _ in 0..2 {
        assert_eq!(socket.join("invalid", json!({})).await.unwrap_err(), json!({ "reason": "always fails" }));
    }
    let joins = |status| metrics.counter("channel_join", &[("status", status), ("channel", "StatsChannel")]);
    assert_eq!((joins("success"), joins("fail")), (1, 2));
}

#[tokio::test]
async fn any_other_topic_crashes_its_join() {
    let log = capture_log();
    let refused = ChannelTest::new().socket(StatsSocket).join("other", json!({})).await.unwrap_err();
    assert_eq!(refused, json!({ "reason": "join crashed" }));
    log.assert_contains("the topic \"other\" is not \"valid\" or \"invalid\"");
}

#[tokio::test]
async fn a_ping_takes_a_second_at_most_and_is_measured() {
    let metrics = capture_metrics();
    let channel = join("valid").await;
    let started = Instant::now();
    push_many(&channel, "ping", 5).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(5) && took <= Duration::from_millis(5005), "{took:?}");
    assert_eq!(metrics.histogram("stats_channel.ping", &[]).len(), 5, "{metrics}");
}

#[tokio::test]
async fn slow_pings_are_replied_to_one_after_another() {
    assert_eq!(push_many(&join("valid").await, "slow_ping", 5).await, [3, 6, 9, 12, 15]);
}

#[tokio::test]
async fn parallel_slow_pings_are_replied_to_together() {
    assert_eq!(push_many(&join("valid").await, "parallel_slow_ping", 5).await, [3; 5]);
}

#[tokio::test]
async fn a_ping_waits_for_a_slow_one_but_not_for_a_parallel_one() {
    for (event, seconds) in [("slow_ping", 3), ("parallel_slow_ping", 0)] {
        let channel = join("valid").await;
        channel.push(event, json!({}));
        let ping = channel.push("ping", json!({}));
        let started = Instant::now();
        assert_reply!(ping, ok, json!({ "ping": "pong" }), TIMEOUT);
        let took = started.elapsed();
        assert!((SLOW * seconds / 3..=SLOW * seconds / 3 + Duration::from_millis(1005)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn the_eleventh_parallel_ping_waits_for_an_earlier_one_and_the_wait_is_counted() {
    let metrics = capture_metrics();
    let seconds = push_many(&join("valid").await, "parallel_slow_ping", 25).await;
    assert_eq!(seconds, [[3; 10].as_slice(), &[6; 10], &[9; 5]].concat());
    assert!(metrics.counter("bennu.channel.task_limits", &[("channel", "StatsChannel")]) > 0, "{metrics}");
}
