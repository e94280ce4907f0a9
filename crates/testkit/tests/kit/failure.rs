//! The texts of failed assertions, word for word, for all six macros.

use crate::support::{Number, UserSocket, failure_of, push_numbers, room};
use bennu_testkit::prelude::*;
use std::time::Duration;

/// Removes the indentation of a text in this file.
fn message(text: &str) -> String {
    let lines: Vec<&str> =
        text.trim_matches('\n').lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

async fn expect_failure(assertion: impl Future<Output = ()>, text: &str) {
    assert_eq!(failure_of(assertion).await, message(text));
}

#[tokio::test]
async fn a_missing_push_is_reported_with_all_arrivals_and_the_difference_of_the_closest() {
    let room = room().await;
    room.push("echo", json!({}));
    room.push("push", json!({ "a": 1, "b": [1, 2], "c": "x" }));
    room.push("push", json!({ "value": 1 }));
    room.test().settle().await;
    room.test().endpoint().broadcast("room:1", "other", json!({})).unwrap();
    assert_broadcast!(room, "other");
    expect_failure(
        async { _ = assert_push!(room, "pushed", json!({ "a": 1, "b": [1, 3], "c": "x" })) },
        r#"
        no matching push arrived within 100ms

        expected: push "pushed" {"a":1,"b":[1,3],"c":"x"}

        arrivals, in order:
          1. reply ok to ref 2 {} on "room:1" to client 1
          2. push "pushed" {"a":1,"b":[1,2],"c":"x"} on "room:1" to client 1
          3. push "pushed" {"value":1} on "room:1" to client 1
          4. push "other" {} on "room:1" to client 1

        the closest arrival is 2; it differs (- expected, + arrived):
              "a": 1,
              "b": [
                1,
          -     3
          +     2
              ],
              "c": "x"
            }
        "#,
    )
    .await;
}

#[tokio::test]
async fn an_empty_mailbox_is_reported_as_none() {
    let room = room().await;
    expect_failure(
        async { _ = assert_push!(room, "pushed", _, Duration::from_secs(2)) },
        r#"
        no matching push arrived within 2s

        expected: push "pushed" with any payload

        arrivals: none
        "#,
    )
    .await;
    let failure = failure_of(async { _ = assert_push!(room) }).await;
    assert!(failure.contains("expected: push of any event with any payload\n"), "{failure}");
}

#[tokio::test]
async fn a_pattern_and_a_closure_are_reported_as_their_source_text() {
    let room = room().await;
    push_numbers(&room, [1]);
    expect_failure(
        async { assert_push!(room, "pushed", Number { value } if value > 1 => ()) },
        r#"
        no matching push arrived within 100ms

        expected: push "pushed" matching Number { value } if value > 1

        arrivals, in order:
          1. push "pushed" {"value":1} on "room:1" to client 1

        the closest arrival is 1; it does not match:
            {
              "value": 1
            }
        "#,
    )
    .await;
    let failure = failure_of(async { _ = assert_push!(room, "pushed", Number { value: 2 }) }).await;
    assert!(failure.contains("expected: push \"pushed\" matching Number { value: 2 }\n"), "{failure}");
    let failure = failure_of(async { _ = assert_push!(room, "pushed", |number: Number| number.value == 2) }).await;
    assert!(failure.contains("expected: push \"pushed\" matching |number: Number| number.value == 2\n"), "{failure}");
}

#[tokio::test]
async fn a_payload_of_another_shape_is_reported_with_the_error_of_serde() {
    let room = room().await;
    room.push("push", json!({ "value": "one" }));
    let failure = failure_of(async { _ = assert_push!(room, "pushed", Number { .. }) }).await;
    let expected = "the closest arrival is 1; it does not match: the payload is not a kit::support::Number: \
                    invalid type: string \"one\", expected i64";
    assert!(failure.contains(expected) && failure.ends_with("    {\n      \"value\": \"one\"\n    }\n"), "{failure}");
}

#[tokio::test]
async fn a_push_with_the_payload_and_another_event_is_the_closest() {
    let room = room().await;
    push_numbers(&room, [1, 2]);
    let failure = failure_of(async { _ = assert_push!(room, "number", json!({ "value": 2 })) }).await;
    assert!(failure.ends_with("\nthe closest arrival is 2; its event is \"pushed\"\n"), "{failure}");
    let failure = failure_of(async { _ = assert_push!(room, "number", json!({ "value": 3 })) }).await;
    assert!(failure.ends_with("2. push \"pushed\" {\"value\":2} on \"room:1\" to client 1\n"), "{failure}");
}

#[tokio::test]
async fn a_missing_reply_is_reported_with_the_one_that_arrived() {
    let room = room().await;
    let reference = room.push("echo", json!({ "ping": "pang" }));
    room.test().settle().await;
    expect_failure(
        async { _ = assert_reply!(reference, ok, json!({ "ping": "pong" })) },
        r#"
        no matching reply arrived within 100ms

        expected: reply ok to ref 2 {"ping":"pong"}

        arrivals, in order:
          1. reply ok to ref 2 {"ping":"pang"} on "room:1" to client 1

        the closest arrival is 1; it differs (- expected, + arrived):
            {
          -   "ping": "pong"
          +   "ping": "pang"
            }
        "#,
    )
    .await;
    let failure = failure_of(async { _ = assert_reply!(reference, error) }).await;
    assert!(failure.contains("expected: reply error to ref 2 with any payload\n"), "{failure}");
    assert!(failure.ends_with("\nthe closest arrival is 1; its status is ok\n"), "{failure}");
}

#[tokio::test]
async fn a_reply_to_another_message_is_not_the_closest() {
    let room = room().await;
    let quiet = room.push("quiet", json!({}));
    room.push("echo", json!({}));
    let failure = failure_of(async { _ = assert_reply!(quiet) }).await;
    assert!(failure.contains("expected: reply of any status to ref 2 with any payload\n"), "{failure}");
    assert!(failure.ends_with("1. reply ok to ref 3 {} on \"room:1\" to client 1\n"), "{failure}");
}

#[tokio::test]
async fn a_missing_broadcast_is_reported_with_the_topics_of_the_test() {
    let room = room().await;
    room.test().endpoint().broadcast("room:1", "said", json!({ "text": "hello" })).unwrap();
    assert_push!(room, "said");
    expect_failure(
        async { _ = assert_broadcast!(room, "said", json!({ "text": "hi" })) },
        r#"
        no matching broadcast arrived within 100ms

        expected: broadcast "said" {"text":"hi"}
        the test has subscribed to room:1

        arrivals, in order:
          1. broadcast "said" {"text":"hello"} on "room:1"

        the closest arrival is 1; it differs (- expected, + arrived):
            {
          -   "text": "hi"
          +   "text": "hello"
            }
        "#,
    )
    .await;
    let test = ChannelTest::new();
    test.socket(UserSocket { user: 1 }).join("room:1", json!({})).await.unwrap();
    let failure = failure_of(async { _ = assert_broadcast!(test, "said") }).await;
    let hint = "the test has subscribed to no topic: join with subscribe_and_join, or call subscribe\n";
    assert!(failure.contains(hint), "{failure}");
}

#[tokio::test]
async fn an_unexpected_arrival_is_reported_with_all_others() {
    let room = room().await;
    push_numbers(&room, [1, 2]);
    expect_failure(
        async { refute_push!(room, "pushed", json!({ "value": 2 })) },
        r#"
        an unexpected push arrived

        refuted: push "pushed" {"value":2}
        arrived: push "pushed" {"value":2} on "room:1" to client 1

        other arrivals, in order:
          1. push "pushed" {"value":1} on "room:1" to client 1
        "#,
    )
    .await;
    expect_failure(
        async { refute_push!(room) },
        r#"
        an unexpected push arrived

        refuted: push of any event with any payload
        arrived: push "pushed" {"value":1} on "room:1" to client 1

        other arrivals: none
        "#,
    )
    .await;
    let failure = failure_of(async { refute_reply!(room.push("echo", json!({})), ok) }).await;
    assert!(
        failure.starts_with("an unexpected reply arrived\n\nrefuted: reply ok to ref 4 with any payload\n"),
        "{failure}"
    );
    room.push("broadcast", json!({}));
    let failure = failure_of(async { refute_broadcast!(room, "said") }).await;
    assert!(failure.starts_with("an unexpected broadcast arrived\n\nrefuted: broadcast \"said\""), "{failure}");
}

#[tokio::test]
async fn a_refutation_fails_on_an_arrival_within_its_timeout() {
    let room = room().await;
    room.push("after", json!({ "ms": 100 }));
    let failure = failure_of(async { refute_push!(room, "tick") }).await;
    assert!(failure.contains("arrived: push \"tick\" {\"from\":\"timer\"}"), "{failure}");
}

#[tokio::test]
async fn a_crash_and_a_close_are_among_the_arrivals() {
    let room = room().await;
    room.push("unknown", json!({}));
    room.test().settle().await;
    room.test().endpoint().disconnect("user:1").unwrap();
    let failure = failure_of(async { _ = assert_push!(room, "pushed") }).await;
    assert!(failure.contains("1. push \"phx_error\" {\"reason\":\"channel_crash\"} on \"room:1\""), "{failure}");
    assert!(failure.contains("2. client 1 was closed: Disconnected, code 1001"), "{failure}");
}

#[tokio::test]
async fn long_payloads_are_cut_and_their_diff_contains_only_the_changes() {
    let room = room().await;
    let mut fields: serde_json::Map<_, _> = (100..300).map(|n| (format!("field {n}"), json!("x".repeat(10)))).collect();
    room.push("push", serde_json::Value::from(fields.clone()));
    fields["field 110"] = json!("first");
    fields["field 290"] = json!("second");
    let failure = failure_of(async { _ = assert_push!(room, "pushed", serde_json::Value::from(fields)) }).await;
    assert!(failure.lines().all(|line| line.len() < 6000), "{failure}");
    let shown = [
        "    \"field 109\": \"xxxxxxxxxx\",\n  -   \"field 110\": \"first\",\n  +   \"field 110\": \"xxxxxxxxxx\",\n",
        "    ⋮\n",
        "  -   \"field 290\": \"second\",\n  +   \"field 290\": \"xxxxxxxxxx\",\n",
    ];
    for part in shown {
        assert!(failure.contains(part), "{part}: {failure}");
    }
    assert!(!failure.contains("\"field 200\": \"xxxxxxxxxx\",\n"), "{failure}");
}

#[tokio::test]
async fn binary_data_is_reported_by_its_first_bytes() {
    let room = room().await;
    room.push("push", vec![1, 255]);
    let failure = failure_of(async { _ = assert_push!(room, "pushed", vec![1, 254]) }).await;
    assert!(failure.contains("  - 2 bytes: [01, fe]\n  + 2 bytes: [01, ff]\n"), "{failure}");
}

#[tokio::test]
#[should_panic(expected = "could not broadcast \"said\" on \"room:1\": a broadcast's payload must be a JSON object")]
async fn a_payload_that_cannot_be_broadcast_fails_the_test() {
    room().await.broadcast_from("said", json!([1]));
}
