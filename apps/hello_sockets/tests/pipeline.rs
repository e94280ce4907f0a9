//! The pipeline from its producer to the users' channels: in order, only to the right user, timed, ten at a time.

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

/// Starts a test with a pipeline of its own.
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
async fn events_reach_the_client_in_order() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    for n in 1..=10 {
        producer.push_timed(Push::new(1, json!({ "n": n }))).await.unwrap();
        assert_push!(channel, "push_timed", json!({ "n": n }));
    }
}

#[tokio::test]
async fn many_events_that_are_sent_at_once_arrive_once_each() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    for n in 1..=500 {
        producer.push_timed(Push::new(1, json!({ "n": n }))).await.unwrap();
    }
    // Ten workers guarantee no order.
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
async fn the_time_to_delivery_and_the_workers_time_are_measured() {
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
async fn an_event_without_timing_is_not_intercepted_by_the_channel() {
    let metrics = capture_metrics();
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    producer.push(Push::new(1, json!({ "test": true }))).await.unwrap();
    assert_push!(channel, "push", json!({ "test": true }));
    assert!(metrics.histogram("pipeline.push_delivered", &[]).is_empty());
}

#[tokio::test]
async fn fifty_pushes_of_a_second_each_arrive_ten_at_a_time() {
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    let started = Instant::now();
    for n in 1..=50 {
        let push = Push { work: Duration::from_secs(1), ..Push::new(1, json!({ "n": n })) };
        producer.push(push).await.unwrap();
    }
    let mut arrivals = Vec::new();
    for _ in 1..=50 {
        let n = assert_push!(channel, "push", Numbered { n } => n, Duration::from_secs(10));
        arrivals.push((started.elapsed().as_secs(), n));
    }
    for group in 0..5 {
        let mut numbers: Vec<_> = arrivals.iter().filter(|(second, _)| *second == group + 1).map(|(_, n)| *n).collect();
        numbers.sort_unstable();
        let first = u32::try_from(group).unwrap() * 10 + 1;
        assert_eq!(numbers, (first..first + 10).collect::<Vec<_>>(), "{arrivals:?}");
    }
}

#[tokio::test]
async fn queued_pushes_are_delivered_before_the_pipeline_ends_and_later_ones_are_rejected() {
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
async fn a_push_whose_data_is_not_an_object_is_lost_and_the_next_is_delivered() {
    let log = capture_log();
    let (test, _pipeline, producer) = start();
    let channel = connect_auth_socket(&test, 1).await;
    producer.push(Push::new(1, json!([1]))).await.unwrap();
    producer.push(Push::new(1, json!({ "n": 2 }))).await.unwrap();
    assert_push!(channel, "push", json!({ "n": 2 }));
    log.assert_contains("a worker crashed");
}
