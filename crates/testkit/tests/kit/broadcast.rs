//! `assert_broadcast!`, `refute_broadcast!`, and broadcasts of the test.

use crate::support::{Number, UserSocket, room};
use bennu_testkit::prelude::*;

#[tokio::test]
async fn a_broadcast_arrives_at_the_client_and_at_the_subscribed_test() {
    let room = room().await;
    room.push("broadcast", json!({ "value": 1 }));
    assert_broadcast!(room, "said", Number { value: 1 });
    refute_broadcast!(room);
    assert_push!(room, "said", json!({ "value": 1 }));
    refute_push!(room);
}

#[tokio::test]
async fn join_alone_does_not_subscribe_the_test() {
    let test = ChannelTest::new();
    let room = test.socket(UserSocket { user: 1 }).join("room:1", json!({})).await.unwrap();
    room.push("broadcast", json!({}));
    assert_push!(room, "said");
    refute_broadcast!(test);
    test.subscribe("room:1");
    room.push("broadcast", json!({}));
    assert_broadcast!(room, "said");
}

#[tokio::test]
async fn repeated_subscriptions_to_a_topic_deliver_one_broadcast() {
    let room = room().await;
    room.test().subscribe("room:1");
    room.socket().test().socket(UserSocket { user: 2 }).subscribe_and_join("room:1", json!({})).await.unwrap();
    room.push("broadcast", json!({}));
    assert_broadcast!(room.test(), "said");
    refute_broadcast!(room.test());
}

#[tokio::test]
async fn broadcast_from_reaches_all_subscribers_except_the_test() {
    let room = room().await;
    room.broadcast_from("said", json!({ "value": 1 }));
    assert_push!(room, "said", json!({ "value": 1 }));
    room.broadcast_from("intercepted", json!({ "value": 2 }));
    assert_push!(room, "passed on", json!({ "value": 2 }));
    refute_broadcast!(room);
    room.test().broadcast_from("room:other", "said", json!({}));
    refute_push!(room);
}

#[tokio::test]
async fn a_broadcast_of_the_endpoint_reaches_the_test_on_its_own_topic() {
    let room = room().await;
    let test = room.test();
    test.subscribe("news");
    test.endpoint().broadcast("news", "said", json!({ "value": 1 })).unwrap();
    refute_broadcast!(room);
    assert_broadcast!(test, "said", Number { value } if value == 1);
}
