//! Joins, pushes, broadcasts and leaves over a working connection.

use crate::server::Server;
use crate::{builder, connect, join, next_event, over_both, request, soon};
use bennu_client::{
    ChannelEvent, ClientChannel, CloseReason, JoinError, Payload, ReplyError, SendError, Status, Transport,
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

over_both! {
    a_join_is_replied_to_and_its_params_reach_the_channel
    a_refused_join_gives_the_channels_reason
    a_push_receives_any_reply_of_the_channel
    a_push_without_a_reply_times_out_and_the_channel_stays_joined
    pushes_before_the_reply_to_the_join_are_sent_after_it_in_order
    pushes_of_the_channel_arrive_before_the_reply_that_follows_them
    a_broadcast_reaches_two_clients_and_no_other_topic
    an_intercepted_broadcast_arrives_with_the_channels_changes
    bytes_are_pushed
    a_leave_is_replied_to_ends_the_broadcasts_and_allows_a_new_join
    joining_a_topic_twice_ends_the_first_channel
    a_channel_that_stops_has_ended
    a_join_past_its_timeout_fails_without_delaying_other_joins
    fifty_topics_share_one_connection
    two_hundred_simultaneous_pushes_are_all_replied_to
    a_message_that_was_sent_before_the_last_handle_was_dropped_arrives
}

async fn a_join_is_replied_to_and_its_params_reach_the_channel(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = client.join("reply:1", json!({ "ä": [1, null] })).await.unwrap();
    assert_eq!(room.response().parse::<Value>().unwrap(), json!({ "topic": "reply:1", "got": { "ä": [1, null] } }));
}

async fn a_refused_join_gives_the_channels_reason(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    for (topic, reason) in [("deny:1", "denied"), ("nowhere", "unmatched topic"), ("crash:1", "join crashed")] {
        match soon("the refusal", client.join(topic, json!({}))).await {
            Err(JoinError::Refused { topic: refused, response }) => {
                assert_eq!((refused.as_str(), response.parse().unwrap()), (topic, json!({ "reason": reason })));
            }
            other => panic!("{topic}: {other:?}"),
        }
    }
}

async fn a_push_receives_any_reply_of_the_channel(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = join(&client, "ping").await;
    assert_eq!(request(&room, "ping", json!({})).await, json!({ "ping": "pong" }));
    assert_eq!(request(&room, "reply_list", json!({})).await, json!([1, 2]));
    assert_eq!(request(&room, "reply_string", json!({})).await, json!("s"));
    assert_eq!(request(&room, "async_reply", json!({})).await, json!({ "later": true }));
    let error = room.push("param_ping", json!({ "error": true })).await.unwrap().ok().unwrap_err();
    let reason = Payload::json(&json!({ "reason": "You asked for this!" }));
    assert_eq!(error, ReplyError::Status { status: Status::Error, payload: reason });
    let reply = room.push("custom_status", json!({})).await.unwrap();
    assert_eq!((reply.status.as_str(), reply.payload.parse().unwrap()), ("teapot", json!({ "a": 1 })));
    // White space between the tokens of JSON, line feeds included, must not split a message.
    let pretty = Payload::from_json_text("{\n  \"a\":\r\n [1,\n2]\n}").unwrap();
    let echoed = room.push("echo", pretty).await.unwrap().parse::<Value>().unwrap();
    assert_eq!(echoed, json!({ "a": [1, 2] }));
}

async fn a_push_without_a_reply_times_out_and_the_channel_stays_joined(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = join(&client, "ping").await;
    let after = Duration::from_millis(100);
    let error = room.push("pong", json!({})).timeout(after).await.unwrap_err();
    assert_eq!(error, SendError::Timeout { event: "pong".to_owned(), after });
    assert_eq!(request(&room, "ping", json!({})).await, json!({ "ping": "pong" }));
}

async fn pushes_before_the_reply_to_the_join_are_sent_after_it_in_order(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = client.channel("slow:1").open().unwrap();
    let replies = futures::future::join_all((0..5).map(|n| room.push("echo", json!({ "n": n }))));
    let replies = soon("the replies", replies).await;
    for (n, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.unwrap().parse::<Value>().unwrap(), json!({ "n": n }));
    }
}

async fn pushes_of_the_channel_arrive_before_the_reply_that_follows_them(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "ping").await;
    assert_eq!(request(&room, "push_two", json!({})).await, json!({ "n": 3 }));
    for (event, n) in [("one", 1), ("two", 2)] {
        // Both have arrived before the reply.
        let message = futures::FutureExt::now_or_never(room.next()).flatten().expect("a message");
        assert_eq!((message.event.as_str(), message.parse().unwrap()), (event, json!({ "n": n })));
    }
}

async fn a_broadcast_reaches_two_clients_and_no_other_topic(over: Transport) {
    let server = Server::start().await;
    let clients = [connect(&server, over).await, connect(&server, over).await];
    let [mut first, mut second] = [join(&clients[0], "bench:a").await, join(&clients[1], "bench:a").await];
    let mut other = join(&clients[0], "bench:b").await;
    server.post("/broadcast?topic=bench:a&event=news", br#"{"n":1}"#).await;
    for room in [&mut first, &mut second] {
        let message = soon("the broadcast", StreamExt::next(room)).await.unwrap();
        assert_eq!((message.event.as_str(), message.parse().unwrap()), ("news", json!({ "n": 1 })));
    }
    first.send("broadcast_from", json!({ "n": 2 })).unwrap();
    first.send("broadcast", json!({ "n": 3 })).unwrap();
    assert_eq!(soon("the second's", second.next()).await.unwrap().parse::<Value>().unwrap(), json!({ "n": 2 }));
    assert_eq!(soon("the first's own", first.next()).await.unwrap().parse::<Value>().unwrap(), json!({ "n": 3 }));
    request(&other, "echo", json!({})).await;
    assert!(futures::FutureExt::now_or_never(other.next()).is_none());
}

async fn an_intercepted_broadcast_arrives_with_the_channels_changes(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "ping").await;
    server.post("/broadcast?topic=ping&event=request_ping", br#"{"n":1}"#).await;
    let message = soon("the push", room.next()).await.unwrap();
    assert_eq!(message.event, "send_ping");
    assert_eq!(message.parse::<Value>().unwrap(), json!({ "n": 1, "from_node": "nonode@nohost" }));
}

async fn bytes_are_pushed(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = join(&client, "bench:a").await;
    for size in [0, 1, 1000, 100_000] {
        let reply = soon("the reply", room.push("bin_to_json", vec![0xFF; size])).await.unwrap();
        assert_eq!(reply.parse::<Value>().unwrap(), json!({ "size": size }));
    }
}

async fn a_leave_is_replied_to_ends_the_broadcasts_and_allows_a_new_join(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = join(&client, "bench:a").await;
    let sender = room.sender();
    soon("the leave", room.leave()).await;
    assert_eq!(sender.send("echo", json!({})), Err(SendError::Closed { topic: "bench:a".to_owned() }));
    server.post("/broadcast?topic=bench:a&event=news", b"{}").await;
    let mut again = join(&client, "bench:a").await;
    request(&again, "echo", json!({})).await;
    assert!(futures::FutureExt::now_or_never(again.next()).is_none());
    // Leave and join without waiting between them.
    drop(again);
    let third = join(&client, "bench:a").await;
    assert_eq!(request(&third, "echo", json!({ "n": 3 })).await, json!({ "n": 3 }));
}

async fn joining_a_topic_twice_ends_the_first_channel(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut first = join(&client, "bench:a").await;
    let second = join(&client, "bench:a").await;
    assert_eq!(next_event(&mut first).await, ChannelEvent::Closed(CloseReason::Replaced));
    assert_eq!(first.next_event().await, None);
    drop(first);
    assert_eq!(request(&second, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

async fn a_channel_that_stops_has_ended(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let mut room = join(&client, "ping").await;
    assert_eq!(request(&room, "pang", json!({})).await, json!({ "msg": "shutting down" }));
    assert_eq!(next_event(&mut room).await, ChannelEvent::Closed(CloseReason::ClosedByServer));
    assert_eq!(room.next().await, None);
    assert!(matches!(room.push("ping", json!({})).await, Err(SendError::Closed { .. })));
    join(&client, "ping").await;
}

async fn a_join_past_its_timeout_fails_without_delaying_other_joins(over: Transport) {
    let server = Server::start().await;
    let client = builder(&server, "socket", over).join_timeout(Duration::from_millis(100)).connect().await.unwrap();
    let slow = client.join("slow:1", json!({}));
    let (slow, quick) = futures::join!(slow, client.join("ping", json!({})));
    assert!(matches!(slow, Err(JoinError::Timeout { topic, .. }) if topic == "slow:1"));
    quick.unwrap();
}

async fn fifty_topics_share_one_connection(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let topics: Vec<String> = (0..50).map(|n| format!("bench:{n}")).collect();
    let rooms = futures::future::join_all(topics.iter().map(|topic| join(&client, topic))).await;
    for (n, room) in rooms.iter().enumerate() {
        assert_eq!(request(room, "echo", json!({ "n": n })).await, json!({ "n": n }));
    }
}

async fn two_hundred_simultaneous_pushes_are_all_replied_to(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let room = join(&client, "bench:a").await;
    let padding = "x".repeat(1000);
    let requests = (0..200).map(|n| request(&room, "echo", json!({ "n": n, "padding": padding })));
    for (n, answer) in futures::future::join_all(requests).await.into_iter().enumerate() {
        assert_eq!(answer["n"], n);
    }
}

async fn a_message_that_was_sent_before_the_last_handle_was_dropped_arrives(over: Transport) {
    let server = Server::start().await;
    let witness = connect(&server, over).await;
    let mut observed = join(&witness, "bench:a").await;
    let client = connect(&server, over).await;
    let room = join(&client, "bench:a").await;
    drop(client);
    room.send("broadcast", json!({ "last": "words" })).unwrap();
    drop(room);
    let message = soon("the last words", observed.next()).await.unwrap();
    assert_eq!(message.parse::<Value>().unwrap(), json!({ "last": "words" }));
}

#[tokio::test]
async fn bytes_are_replied_pushed_and_broadcast_as_bytes() {
    let server = Server::start().await;
    let client = connect(&server, Transport::WebSocket).await;
    let mut room = join(&client, "bench:a").await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let reply = soon("the reply", room.push("binary", bytes.clone())).await.unwrap();
        assert_eq!(reply.ok().unwrap().to_binary().unwrap(), bytes);
    }
    let reply = room.push("binary_err", vec![1, 2]).await.unwrap();
    assert_eq!((reply.status, reply.payload), (Status::Error, Payload::binary(vec![1, 2])));
    room.send("bin_push", vec![3]).unwrap();
    assert_eq!(receive(&mut room).await, ("pushed".to_owned(), Payload::binary(vec![3])));
    room.send("bin_broadcast", vec![4]).unwrap();
    assert_eq!(receive(&mut room).await, ("bin_msg".to_owned(), Payload::binary(vec![4])));
    server.post("/broadcast_bin?topic=bench:a&event=bin", &[5, 0xFF]).await;
    assert_eq!(receive(&mut room).await, ("bin".to_owned(), Payload::binary(vec![5, 0xFF])));
}

async fn receive(room: &mut ClientChannel) -> (String, Payload) {
    let message = soon("a message", room.next()).await.unwrap();
    (message.event, message.payload)
}
