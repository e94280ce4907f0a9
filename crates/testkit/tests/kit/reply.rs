//! `assert_reply!` and `refute_reply!`.

use crate::support::{Number, room};
use bennu_channels::Status;
use bennu_testkit::prelude::*;
use std::time::Duration;

#[tokio::test]
async fn a_reply_is_found_by_its_ref_in_any_order() {
    let room = room().await;
    let first = room.push("echo", json!({ "value": 1 }));
    let second = room.push("echo", json!({ "value": 2 }));
    assert_reply!(second, ok, json!({ "value": 2 }));
    assert_reply!(first, ok, json!({ "value": 1 }));
    refute_reply!(first);
}

#[tokio::test]
async fn a_status_is_ok_error_another_word_or_any() {
    let room = room().await;
    assert_reply!(room.push("echo", json!({})), ok);
    assert_reply!(room.push("refuse", json!({})), error, json!({ "reason": "no" }));
    assert_reply!(room.push("later", json!({})), "later", json!({}));
    assert_reply!(room.push("later", json!({})), Status::from("later"));
    assert_reply!(room.push("refuse", json!({})), _, json!({ "reason": "no" }));
    assert_reply!(room.push("refuse", json!({})));
    let reference = room.push("refuse", json!({}));
    refute_reply!(reference, ok);
    assert_reply!(reference, error, _, Duration::ZERO);
}

#[tokio::test]
async fn a_payload_has_the_same_forms_as_that_of_a_push() {
    let room = room().await;
    let reference = room.push("echo", json!({ "value": 1 }));
    refute_reply!(reference, ok, Number { value: 2 });
    refute_reply!(reference, ok, |number: Number| number.value > 1);
    assert_eq!(assert_reply!(reference, ok, Number { value } => value), 1);
    assert_reply!(room.push("echo", vec![1, 2]), ok, vec![1, 2]);
}

#[tokio::test]
async fn a_message_without_a_reply_has_none() {
    let room = room().await;
    let reference = room.push("quiet", json!({}));
    refute_reply!(reference);
    refute_reply!(reference, ok, json!({}));
    refute_reply!(reference, _, _, Duration::from_secs(60));
}

#[tokio::test]
async fn a_leave_is_answered_and_later_messages_are_unmatched() {
    let room = room().await;
    assert_reply!(room.leave(), ok, json!({}));
    assert_push!(room, "phx_close");
    assert_reply!(room.push("echo", json!({})), error, json!({ "reason": "unmatched topic" }));
}
