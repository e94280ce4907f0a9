//! `assert_push!` and `refute_push!`: the forms of a payload, and the arrivals that an assertion removes.

use crate::support::{Number, Shape, push_numbers, room};
use bennu_channels::Payload;
use bennu_testkit::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn a_payload_is_json_a_pattern_or_a_closure() {
    let room = room().await;
    push_numbers(&room, 1..=9);
    assert_push!(room, "pushed", json!({ "value": 1 }));
    assert_push!(room, "pushed", Number { value: 2 });
    assert_push!(room, "pushed", Number { value } if value == 3);
    assert_push!(room, "pushed", |number: Number| number.value == 4);
    assert_push!(room, "pushed", |fields: BTreeMap<String, Value>| fields["value"] == 5);
    assert_push!(room, "pushed", crate::support::Number { value: 6..=6, .. });
    assert_push!(room, "pushed");
    assert_push!(room, "pushed", _, Duration::ZERO);
    assert_push!(room);
    refute_push!(room);
}

#[tokio::test]
async fn an_assertion_returns_the_value_of_its_pattern() {
    let room = room().await;
    push_numbers(&room, [1, 2, 3]);
    assert_eq!(assert_push!(room, "pushed", Number { value } => value), 1);
    assert_eq!(assert_push!(room, "pushed", Number { value } if value > 2 => value * 2), 6);
    let payload: Payload = assert_push!(room, "pushed");
    assert_eq!(payload.get("value"), Ok(Some(2)));

    room.push("push", json!({ "circle": 1.5 }));
    room.push("push", json!({ "square": { "side": 2.0 } }));
    assert_eq!(assert_push!(room, _, Shape::Square { side } => side), 2.0);
    assert_eq!(assert_push!(room, _, Shape::Circle(radius) => radius), 1.5);
    room.push("push", json!([1, 2]));
    assert_push!(room, "pushed", (1u8, 2u8..) => ());
    room.push("push", json!(null));
    assert_push!(room, "pushed", None::<Number> => ());
}

#[tokio::test]
async fn every_form_accepts_a_timeout() {
    let room = room().await;
    let (min, long) = (2, Duration::from_secs(2));
    for value in 1..=7 {
        room.push("after", json!({ "ms": value * 1000 }));
    }
    #[derive(serde::Deserialize)]
    struct From {
        from: String,
    }
    assert_push!(room, "tick", json!({ "from": "timer" }), long);
    assert_push!(room, "tick", From { .. }, long);
    assert_push!(room, "tick", From { from } if from.len() > min, long);
    assert_push!(room, "tick", |tick: From| tick.from.len() > min, long,);
    assert_push!(room, "tick", move |tick: From| tick.from.len() > min, long);
    assert_eq!(assert_push!(room, "tick", From { from } => from, long), "timer");
    assert_eq!(assert_push!(room, "tick", From { from } if from.len() > min => from.len(), long), 5);
}

#[tokio::test]
async fn a_variable_and_any_other_expression_match_only_their_value() {
    struct Holder {
        payload: Value,
    }
    const THREE: i64 = 3;
    fn number(value: i64) -> Value {
        json!({ "value": value })
    }
    let room = room().await;
    push_numbers(&room, [1, 2, 3]);
    let expected = number(4);
    let holder = Holder { payload: number(5) };
    refute_push!(room, "pushed", expected);
    refute_push!(room, "pushed", &expected);
    refute_push!(room, "pushed", holder.payload);
    refute_push!(room, "pushed", number(THREE + 3));
    refute_push!(room, "pushed", Payload::json(&number(7)));
    refute_push!(room, "pushed", if room.topic() == "room:1" { number(8) } else { number(9) });
    assert_push!(room, "pushed", number(THREE));
    let (event, two) = (String::from("pushed"), number(2));
    assert_push!(room, event.as_str(), two);
    assert_push!(room, event, &number(1),);
}

#[tokio::test]
async fn json_is_compared_whole_and_by_value() {
    let room = room().await;
    room.push("push", json!({ "b": [1, { "x": null }], "a": "ä" }));
    refute_push!(room, "pushed", json!({ "a": "ä" }));
    refute_push!(room, "pushed", json!({ "a": "ä", "b": [1, { "x": null }], "c": 1 }));
    assert_push!(room, "pushed", json!({ "a": "ä", "b": [1, { "x": null }] }));
}

#[tokio::test]
async fn binary_data_is_compared_by_its_bytes() {
    let room = room().await;
    room.push("push", vec![0, 255]);
    refute_push!(room, "pushed", vec![0]);
    refute_push!(room, "pushed", |_: Value| true);
    assert_push!(room, "pushed", vec![0, 255]);
}

#[tokio::test]
async fn the_first_match_is_removed_and_the_others_stay_in_order() {
    let room = room().await;
    push_numbers(&room, [1, 2, 1, 3]);
    room.test().settle().await;
    assert_push!(room, "pushed", json!({ "value": 1 }));
    assert_push!(room, "pushed", json!({ "value": 3 }));
    let left = [("pushed", json!({ "value": 2 })), ("pushed", json!({ "value": 1 }))];
    assert_eq!(room.mailbox(), left);
    assert_eq!(room.mailbox(), left, "reading the mailbox removes nothing");
    assert_ne!(room.mailbox(), [("pushed", json!({ "value": 2 })), ("pushed", json!({ "value": 2 }))]);
    assert_ne!(room.mailbox(), [("pushed", json!({ "value": 2 })), ("other", json!({ "value": 1 }))]);
    refute_push!(room, "pushed", json!({ "value": 3 }));
}

#[tokio::test]
async fn an_assertion_waits_for_a_later_push_in_virtual_time() {
    let room = room().await;
    let started = std::time::Instant::now();
    room.push("after", json!({ "ms": 100 }));
    assert_push!(room, "tick");
    room.push("after", json!({ "ms": 3_600_000 }));
    refute_push!(room, "tick");
    assert_push!(room, "tick", _, Duration::from_secs(3600));
    for _ in 0..100 {
        refute_push!(room);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_push_belongs_to_its_channel_its_client_and_its_test() {
    let test = ChannelTest::new();
    let (one, two) =
        (test.socket(crate::support::UserSocket { user: 1 }), test.socket(crate::support::UserSocket { user: 2 }));
    let room_1 = one.join("room:1", json!({})).await.unwrap();
    let room_2 = one.join("room:2", json!({})).await.unwrap();
    let same_room = two.join("room:1", json!({})).await.unwrap();
    push_numbers(&room_1, [1]);
    push_numbers(&room_2, [2]);
    push_numbers(&same_room, [3]);
    test.settle().await;
    let number = |value: i64| ("pushed", json!({ "value": value }));
    assert_eq!(room_1.mailbox(), [number(1)]);
    assert_eq!(room_2.mailbox(), [number(2)]);
    assert_eq!(one.mailbox(), [number(1), number(2)]);
    assert_eq!(two.mailbox(), [number(3)]);
    assert_eq!(test.mailbox(), [number(1), number(2), number(3)]);
    refute_push!(two, "pushed", Number { value: 1 });
    assert_push!(one, "pushed", Number { value: 2 });
    assert_push!(test, "pushed", Number { value: 3 });
    refute_push!(same_room);
    assert_push!(room_1, "pushed", Number { value: 1 });
}

#[tokio::test]
async fn the_end_of_a_channel_is_a_push() {
    let room = room().await;
    room.push("unknown", json!({}));
    assert_push!(room, "phx_error", json!({ "reason": "channel_crash" }));
    let room = room.socket().join("room:1", json!({})).await.unwrap();
    room.leave();
    assert_push!(room, "phx_close", json!({}));
}

#[tokio::test]
async fn a_second_join_of_a_topic_is_another_channel() {
    let old = room().await;
    let new = old.socket().join("room:1", json!({})).await.unwrap();
    assert_eq!((old.mailbox().len(), new.mailbox().len()), (1, 0));
    assert_push!(old, "phx_close");
    push_numbers(&old, [1]);
    push_numbers(&new, [2]);
    refute_push!(old);
    assert_push!(new, "pushed", Number { value: 2 });
    refute_push!(new);
}
