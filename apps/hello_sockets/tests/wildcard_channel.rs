//! `wild:A:B`: joined when B is twice A.

use bennu_testkit::prelude::*;
use hello_sockets::UserSocket;

fn socket() -> TestSocket<UserSocket> {
    ChannelTest::new().socket(UserSocket)
}

#[tokio::test]
async fn two_numbers_are_joined_when_the_second_is_twice_the_first() {
    for topic in ["wild:2:4", "wild:100:200", "wild:-3:-6", "wild:0:0"] {
        assert!(socket().subscribe_and_join(topic, json!({})).await.is_ok(), "{topic}");
    }
}

#[tokio::test]
async fn a_join_is_refused_when_the_second_is_not_exactly_twice_the_first() {
    for topic in ["wild:1:3", "wild:9223372036854775807:-2"] {
        assert_eq!(socket().subscribe_and_join(topic, json!({})).await.unwrap_err(), json!({}), "{topic}");
    }
}

#[tokio::test]
async fn a_join_with_three_numbers_is_refused() {
    assert_eq!(socket().subscribe_and_join("wild:1:2:3", json!({})).await.unwrap_err(), json!({}));
}

#[tokio::test]
async fn a_part_that_is_not_a_number_crashes_the_join() {
    for topic in ["wild:invalid", "wild:wild:1:2", "wild:"] {
        let log = capture_log();
        let refused = socket().subscribe_and_join(topic, json!({})).await.unwrap_err();
        assert_eq!(refused, json!({ "reason": "join crashed" }), "{topic}");
        log.assert_contains("ERROR channel crashed");
    }
}

#[tokio::test]
async fn the_reply_to_a_ping_is_pong() {
    let channel = socket().subscribe_and_join("wild:2:4", json!({})).await.unwrap();
    let reference = channel.push("ping", json!({}));
    assert_reply!(reference, ok, json!({ "ping": "pong" }));
}
