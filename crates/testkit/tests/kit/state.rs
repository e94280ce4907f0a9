//! Reads of a channel's state, and messages to its `handle_info`.

use crate::support::{Other, Room, Tick, UserSocket, failure_of, room};
use bennu_testkit::prelude::*;

#[tokio::test]
async fn a_read_of_the_state_follows_all_earlier_messages() {
    let room = room().await;
    room.push("quiet", json!({}));
    room.broadcast_from("intercepted", json!({}));
    room.send::<Room, _>(Tick("test"));
    assert_eq!(room.state(|room: &Room| room.received.clone()).await, ["quiet", "intercepted", "test"]);
    assert_push!(room, "tick", json!({ "from": "test" }));
}

#[tokio::test]
async fn the_state_of_a_channel_without_handle_info_can_be_read() {
    let other = ChannelTest::new().socket(UserSocket { user: 1 }).join("other", json!({})).await.unwrap();
    assert_eq!(other.state(|_: &Other| "read").await, "read");
}

#[tokio::test]
async fn a_read_that_panics_fails_the_test_and_not_the_channel() {
    let room = room().await;
    let failure = failure_of(async { room.state(|_: &Room| panic!("the read failed")).await }).await;
    assert!(failure == "the read failed", "{failure}");
    assert_reply!(room.push("echo", json!({})), ok);
}

#[tokio::test]
async fn a_wrong_type_an_ended_channel_and_a_blocked_one_are_reported() {
    let room = room().await;
    let failure = failure_of(async { room.state(|_: &Other| ()).await }).await;
    assert!(failure.contains("has ended, or is not a kit::support::Other; arrivals: []"), "{failure}");
    room.push("hang", json!({}));
    let failure = failure_of(async { room.state(|_: &Room| ()).await }).await;
    assert!(
        failure.contains(r#"the channel "room:1" of client 1 (user:1) is still in a callback after 10s"#),
        "{failure}"
    );

    let room = room.socket().join("room:2", json!({})).await.unwrap();
    room.push("unknown", json!({}));
    let failure = failure_of(async { room.state(|_: &Room| ()).await }).await;
    assert!(failure.contains("has ended") && failure.contains(r#"push "phx_error""#), "{failure}");
    let failure = failure_of(async { room.send::<Room, _>(Tick("too late")) }).await;
    assert!(failure.contains("has ended"), "{failure}");
}
