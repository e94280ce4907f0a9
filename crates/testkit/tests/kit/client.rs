//! Connects, joins and disconnects of clients.

use crate::support::{Room, UserSocket, failure_of, room};
use bennu_channels::protocol::Close;
use bennu_channels::transport::NotConnected;
use bennu_channels::{ConnectInfo, Endpoint, token::Secret};
use bennu_testkit::prelude::*;

#[tokio::test]
async fn connect_calls_the_socket() {
    let test = ChannelTest::new();
    let socket = test.connect::<UserSocket>(json!({ "user": 7 })).await.unwrap();
    assert_eq!((socket.id(), socket.state().user), (Some("user:7"), 7));
    let refused = test.connect::<UserSocket>(json!({})).await.unwrap_err();
    assert!(
        matches!(&refused, NotConnected::Refused(refusal) if refusal.to_string() == "parameter \"user\" is missing")
    );
    let crashed = test.connect::<UserSocket>(json!({ "user": "panic" })).await.unwrap_err();
    assert!(matches!(crashed, NotConnected::Crashed));
    assert_eq!(test.endpoint().connection_count(), 1);
}

#[tokio::test]
async fn connect_with_passes_the_information_of_a_transport() {
    let mut info = ConnectInfo::default();
    info.headers.insert("user-agent", "four".parse().unwrap());
    let socket = ChannelTest::new().connect_with::<UserSocket>(json!({ "user": "agent" }), info).await.unwrap();
    assert_eq!(socket.state().user, 4);
}

#[tokio::test]
async fn socket_skips_connect_and_takes_the_id_of_its_value() {
    let socket = ChannelTest::new().socket(UserSocket { user: 3 });
    assert_eq!((socket.id(), socket.state().user), (Some("user:3"), 3));
    let room = socket.join("room:1", json!({ "page": 2 })).await.unwrap();
    assert_eq!(room.join_reply(), json!({ "user": 3, "params": { "page": 2 } }));
}

#[tokio::test]
async fn a_failed_join_equals_its_response() {
    let socket = ChannelTest::new().socket(UserSocket { user: 1 });
    for (topic, reason) in [("room:closed", "closed"), ("room:broken", "join crashed"), ("nowhere", "unmatched topic")]
    {
        let refused = socket.join(topic, json!({})).await.unwrap_err();
        assert_eq!(refused, json!({ "reason": reason }));
        assert_ne!(refused, json!({}));
        assert_eq!(refused.to_string(), format!(r#"the join was refused with {{"reason":"{reason}"}}"#));
    }
    assert!(socket.mailbox().is_empty(), "the answer to a join is not left in the mailbox");
}

#[tokio::test]
async fn a_slow_join_succeeds_and_one_without_end_is_reported() {
    let socket = ChannelTest::new().socket(UserSocket { user: 1 });
    socket.join("room:slow", json!({})).await.unwrap();
    let failure = failure_of(async { _ = socket.join("room:never", json!({})).await }).await;
    assert!(
        failure.contains(r#": no reply to the join of "room:never" arrived within 10s; arrivals: []"#),
        "{failure}"
    );
}

#[tokio::test]
async fn close_ends_all_channels_of_the_client_and_no_others() {
    let room = room().await;
    let other = room.test().socket(UserSocket { user: 2 }).join("room:1", json!({})).await.unwrap();
    room.socket().join("room:2", json!({})).await.unwrap();
    assert_eq!(room.test().endpoint().channel_count(), 3);
    room.close().await;
    assert_eq!((room.test().endpoint().channel_count(), room.test().endpoint().connection_count()), (1, 1));
    other.push("push", json!({}));
    assert_push!(other, "pushed");
    let failure = failure_of(async { room.state(|_: &Room| ()).await }).await;
    assert!(failure.contains(r#"the channel "room:1" of client 1 (user:1) has ended, or is not a kit::support::Room"#));
}

#[tokio::test]
async fn close_aborts_a_blocked_callback_in_virtual_time() {
    let room = room().await;
    room.push("hang", json!({}));
    room.close().await;
    assert_eq!(room.test().endpoint().channel_count(), 0);
}

#[tokio::test]
async fn a_disconnect_closes_the_client() {
    let room = room().await;
    room.test().endpoint().disconnect("user:1").unwrap();
    assert_eq!(room.socket().closed().await, Close::Disconnected);
    room.test().settle().await;
    assert_eq!(room.test().endpoint().connection_count(), 0);
    let failure = failure_of(async { _ = room.socket().closed().await }).await;
    assert!(failure.contains("client 1 (user:1) was not closed within 100ms; arrivals: []"), "{failure}");
}

#[tokio::test]
async fn a_client_and_its_channels_outlive_their_handles() {
    let test = ChannelTest::new();
    _ = test.socket(UserSocket { user: 1 }).join("room:1", json!({})).await.unwrap();
    test.endpoint().broadcast("room:1", "said", json!({})).unwrap();
    assert_push!(test, "said");
}

#[tokio::test]
async fn a_test_can_use_the_endpoint_of_an_application() {
    let endpoint = Endpoint::new(Secret::new("a secret of the application's own").unwrap());
    let test = ChannelTest::with_endpoint(endpoint.clone());
    test.socket(UserSocket { user: 1 });
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test]
async fn a_client_with_many_messages_is_never_too_slow() {
    let room = room().await;
    room.push("flood", json!({}));
    for _ in 0..100 {
        room.test().endpoint().broadcast("room:1", "said", json!({ "text": "x".repeat(100_000) })).unwrap();
    }
    room.test().settle().await;
    assert_eq!(room.socket().mailbox().len(), 200);
}
