//! `user:ID`: each user's own topic, what is sent to it, and how its delivery is timed.

use bennu_testkit::prelude::*;
use hello_sockets::{AuthChannel, AuthSocket};
use serde::Deserialize;

#[derive(Deserialize)]
struct Numbered {
    n: u32,
}

async fn connect_auth_socket(test: &ChannelTest, user_id: u64) -> TestChannel<AuthSocket> {
    let socket = test.socket(AuthSocket { user_id });
    socket.subscribe_and_join(&format!("user:{user_id}"), json!({})).await.unwrap()
}

#[tokio::test]
async fn a_user_joins_the_topic_of_that_user_and_no_other() {
    let socket = ChannelTest::new().socket(AuthSocket { user_id: 1 });
    for topic in ["user:2", "user:01", "user:"] {
        let log = capture_log();
        assert_eq!(socket.join(topic, json!({})).await.unwrap_err(), json!({ "reason": "unauthorized" }));
        log.assert_contains(&format!("ERROR AuthChannel refused a join topic={topic} user_id=1"));
    }
    assert!(socket.join("user:1", json!({})).await.is_ok());
}

#[tokio::test]
async fn events_are_pushed_from_beginning_to_end_in_order() {
    let test = ChannelTest::new();
    let channel = connect_auth_socket(&test, 1).await;
    for sent in 1..=10 {
        AuthChannel::push_timed(test.endpoint(), 1, json!({ "n": sent })).unwrap();
    }
    for sent in 1..=10 {
        assert_eq!(assert_push!(channel, "push_timed", Numbered { n } => n), sent);
    }
}

#[tokio::test]
async fn an_event_is_not_delivered_to_the_wrong_user() {
    let test = ChannelTest::new();
    let channel = connect_auth_socket(&test, 2).await;
    AuthChannel::push_timed(test.endpoint(), 1, json!({ "test": true })).unwrap();
    AuthChannel::push(test.endpoint(), 1, json!({ "test": true })).unwrap();
    refute_push!(channel);
}

#[tokio::test]
async fn events_are_timed_on_delivery() {
    let metrics = capture_metrics();
    let test = ChannelTest::new();
    let channel = connect_auth_socket(&test, 1).await;

    AuthChannel::push_timed(test.endpoint(), 1, json!({ "test": true })).unwrap();
    assert_push!(channel, "push_timed", json!({ "test": true }));
    let delivered = metrics.histogram("pipeline.push_delivered", &[]);
    assert!(matches!(delivered[..], [milliseconds] if (0.0..60_000.0).contains(&milliseconds)), "{metrics}");
}

#[tokio::test]
async fn an_event_that_is_not_timed_goes_past_the_channel() {
    let metrics = capture_metrics();
    let test = ChannelTest::new();
    let channel = connect_auth_socket(&test, 1).await;
    AuthChannel::push(test.endpoint(), 1, json!({ "test": true })).unwrap();
    assert_push!(channel, "push", json!({ "test": true }));
    assert!(metrics.histogram("pipeline.push_delivered", &[]).is_empty());
}
