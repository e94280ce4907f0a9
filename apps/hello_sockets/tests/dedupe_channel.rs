//! `dupe`: a buffer of one second without duplicates.

use bennu_testkit::prelude::*;
use hello_sockets::{DedupeChannel, UserSocket};
use serde_json::Number;
use std::time::Duration;
use tokio::time::sleep;

async fn join() -> TestChannel<UserSocket> {
    ChannelTest::new().socket(UserSocket).subscribe_and_join("dupe", json!({})).await.unwrap()
}

fn broadcast_numbers(channel: &TestChannel<UserSocket>, numbers: &[u32]) {
    for number in numbers {
        channel.broadcast_from("number", json!({ "number": number }));
    }
}

async fn buffer(channel: &TestChannel<UserSocket>) -> Vec<u64> {
    channel.state(|dedupe: &DedupeChannel| dedupe.numbers().filter_map(Number::as_u64).collect()).await
}

#[tokio::test]
async fn the_buffer_has_each_broadcast_number_once() {
    let channel = join().await;
    broadcast_numbers(&channel, &[1]);
    assert_eq!(buffer(&channel).await, [1]);
    broadcast_numbers(&channel, &[1]);
    assert_eq!(buffer(&channel).await, [1]);
    broadcast_numbers(&channel, &[2]);
    assert_eq!(buffer(&channel).await, [1, 2]);
    refute_push!(channel);
}

#[tokio::test]
async fn the_buffer_drains_one_second_after_the_first_number() {
    let channel = join().await;
    broadcast_numbers(&channel, &[1, 1, 2]);
    sleep(Duration::from_millis(950)).await;
    refute_push!(channel, _, _, Duration::ZERO);

    sleep(Duration::from_millis(100)).await;
    assert_push!(channel, "number", json!({ "value": 1 }), Duration::ZERO);
    refute_push!(channel, "number", json!({ "value": 1 }), Duration::ZERO);
    assert_push!(channel, "number", json!({ "value": 2 }), Duration::ZERO);
}

#[tokio::test]
async fn the_buffer_drains_each_number_once_in_the_order_of_its_first_arrival() {
    let channel = join().await;
    broadcast_numbers(&channel, &[3, 1, 2, 1, 3]);
    sleep(Duration::from_millis(1050)).await;

    let number = |value: u32| ("number", json!({ "value": value }));
    assert_eq!(channel.mailbox(), [number(3), number(1), number(2)]);
}

#[tokio::test]
async fn a_second_round_is_independent_of_the_first_and_has_a_second_of_its_own() {
    let channel = join().await;
    for _ in 0..2 {
        broadcast_numbers(&channel, &[1]);
        refute_push!(channel, "number", _, Duration::from_millis(950));
        assert_push!(channel, "number", json!({ "value": 1 }));
    }
}

#[tokio::test]
async fn a_broadcast_without_a_number_crashes_the_channel() {
    let channel = join().await;
    channel.broadcast_from("number", json!({ "value": 1 }));
    assert_push!(channel, "phx_error", json!({ "reason": "channel_crash" }));
}
