//! The pipeline from whoever sends to the users' channels: in order, never to the wrong user, timed, ten at a time.

mod support;

use bennu_pipeline::Pipeline;
use bennu_testkit::prelude::*;
use hello_sockets::AuthSocket;
use hello_sockets::pipeline::{self, Producer, Push};
use serde::Deserialize;
use std::time::Duration;
use support::kit::{AuthTest, auth_test};
use tokio::time::Instant;

#[derive(Deserialize)]
struct Numbered {
    n: u32,
}

/// A test with a pipeline of its own.
fn start() -> (AuthTest, Pipeline, Producer) {
    let test = auth_test();
    let (pipeline, producer) = pipeline::start(test.endpoint()).unwrap();
    (test, pipeline, producer)
}

async fn connect_auth_socket(test: &AuthTest, user_id: u64) -> TestChannel<AuthSocket> {
    let socket = test.socket(AuthSocket { user_id });
    socket.subscribe_and_join(&format!("user:{user_id}"), json!({})).await.unwrap()
}

#[tokio::test]
async fn events_are_pushed_from_beginning_to_end_in_order() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    for n in 1..=10 {
        producer.push_timed(Push::new(1, json!({ "n": n }))).await.unwrap();
        assert_push!(channel, "push_timed", json!({ "n": n }));
    }
}

#[tokio::test]
async fn of_many_events_that_are_sent_at_once_each_comes_once() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    for n in 1..=500 {
        producer.push_timed(Push::new(1, json!({ "n": n }))).await.unwrap();
    }
    // Ten workers promise no order.
    let mut numbers = Vec::new();
    for _ in 1..=500 {
        numbers.push(assert_push!(channel, "push_timed", Numbered { n } => n));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
    refute_push!(channel);
}

#[tokio::test]
async fn an_event_is_not_delivered_to_the_wrong_user() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 2).await;
    producer.push_timed(Push::new(1, json!({ "test": true }))).await.unwrap();
    producer.push(Push::new(1, json!({ "test": true }))).await.unwrap();
    refute_push!(channel);
}

#[tokio::test]
async fn events_are_timed_on_delivery_and_so_is_the_workers_time() {
    let metrics = capture_metrics();
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    producer.push_timed(Push::new(1, json!({ "test": true }))).await.unwrap();
    assert_push!(channel, "push_timed", json!({ "test": true }));
    let delivered = metrics.histogram("pipeline.push_delivered", &[]);
    assert!(matches!(delivered[..], [milliseconds] if (0.0..60_000.0).contains(&milliseconds)), "{metrics}");
    assert_eq!(metrics.histogram("pipeline.worker.process_time", &[]).len(), 1, "{metrics}");
}

#[tokio::test]
async fn an_event_that_is_not_timed_goes_past_the_channel() {
    let metrics = capture_metrics();
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    producer.push(Push::new(1, json!({ "test": true }))).await.unwrap();
    assert_push!(channel, "push", json!({ "test": true }));
    assert!(metrics.histogram("pipeline.push_delivered", &[]).is_empty());
}

#[tokio::test]
async fn fifty_pushes_that_take_a_second_each_come_ten_at_a_time() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    let began = Instant::now();
    for n in 1..=50 {
        let push = Push { work: Duration::from_secs(1), ..Push::new(1, json!({ "n": n })) };
        producer.push(push).await.unwrap();
    }
    let mut came = Vec::new();
    for _ in 1..=50 {
        let n = assert_push!(channel, "push", Numbered { n } => n, Duration::from_secs(10));
        came.push((began.elapsed().as_secs(), n));
    }
    for group in 0..5 {
        let mut numbers: Vec<_> = came.iter().filter(|(second, _)| *second == group + 1).map(|(_, n)| *n).collect();
        numbers.sort_unstable();
        let first = u32::try_from(group).unwrap() * 10 + 1;
        assert_eq!(numbers, (first..first + 10).collect::<Vec<_>>(), "{came:?}");
    }
}

#[tokio::test]
async fn what_was_sent_is_delivered_before_the_pipeline_ends_and_nothing_is_taken_after() {
    let (test, pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    for n in 1..=30 {
        producer.push(Push { work: Duration::from_secs(1), ..Push::new(1, json!({ "n": n })) }).await.unwrap();
    }
    pipeline.drain(Duration::from_secs(5)).await.unwrap();
    for _ in 1..=30 {
        assert_push!(channel, "push");
    }
    assert!(producer.push(Push::new(1, json!({}))).await.is_err());
}

#[tokio::test]
async fn data_that_is_no_object_is_lost_and_harms_no_other() {
    let log = capture_log();
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    producer.push(Push::new(1, json!([1]))).await.unwrap();
    producer.push(Push::new(1, json!({ "n": 2 }))).await.unwrap();
    assert_push!(channel, "push", json!({ "n": 2 }));
    log.assert_contains("a worker crashed");
}
