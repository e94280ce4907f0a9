//! The listings of `docs/guide/testing.md`, in their order. They are compiled and run here; a test checks that the
//! guide contains them word for word.

use bennu_channels as bennu;

use bennu::prelude::*;
use serde::Deserialize;
use std::time::Duration;

pub struct ChatSocket {
    pub name: String,
}

impl Socket for ChatSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let name = request.verify("chat", request.param("token")?, Token::ONE_DAY).inspect_err(|_| {
            tracing::warn!("no valid token");
        })?;
        Ok(ChatSocket { name })
    }

    fn id(&self) -> Option<String> {
        Some(format!("chat:{}", self.name))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<RoomChannel>("room:*");
    }
}

pub struct RoomChannel {
    messages: u64,
}

#[derive(Deserialize)]
struct NewMessage {
    text: String,
}

struct IdleTimeout;

impl Channel<ChatSocket> for RoomChannel {
    async fn join(topic: &str, _: Payload, ctx: &mut Context<ChatSocket, Self>) -> Joined<Self> {
        if topic == "room:private" {
            return refuse(json!({ "reason": "private" }));
        }
        ctx.send_after(Duration::from_secs(600), IdleTimeout);
        accept_with(RoomChannel { messages: 0 }, json!({ "you": ctx.socket.name }))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<ChatSocket, Self>) -> Handled {
        match event {
            "new_message" => {
                let NewMessage { text } = payload.parse()?;
                self.messages += 1;
                metrics::counter!("chat.messages").increment(1);
                ctx.broadcast("message", json!({ "from": ctx.socket.name, "text": text }))?;
                reply_ok(json!({ "count": self.messages }))
            }
            _ => unhandled(event),
        }
    }
}

impl HandleInfo<ChatSocket, IdleTimeout> for RoomChannel {
    async fn handle_info(&mut self, _: IdleTimeout, ctx: &mut Context<ChatSocket, Self>) -> Flow {
        if self.messages == 0 {
            ctx.push("idle", json!({}))?;
        }
        noreply()
    }
}

use bennu_testkit::prelude::*;

#[tokio::test]
async fn a_client_connects_with_a_valid_token() {
    let test = ChannelTest::new();
    let token = test.endpoint().sign("chat", "blue").unwrap();
    let socket = test.connect::<ChatSocket>(json!({ "token": token })).await.unwrap();
    assert_eq!(socket.id(), Some("chat:blue"));
    assert_eq!(socket.state().name, "blue");
}

#[tokio::test]
async fn an_invalid_token_is_refused_and_logged() {
    let log = capture_log();
    assert!(ChannelTest::new().connect::<ChatSocket>(json!({ "token": "invalid" })).await.is_err());
    log.assert_contains("WARN no valid token");
}

async fn lobby() -> TestChannel<ChatSocket> {
    let socket = ChannelTest::new().socket(ChatSocket { name: "blue".to_owned() });
    socket.subscribe_and_join("room:lobby", json!({})).await.unwrap()
}

#[tokio::test]
async fn the_reply_to_a_join_contains_the_name() {
    assert_eq!(lobby().await.join_reply(), json!({ "you": "blue" }));
}

#[tokio::test]
async fn the_private_room_refuses_a_join() {
    let socket = ChannelTest::new().socket(ChatSocket { name: "blue".to_owned() });
    let refused = socket.join("room:private", json!({})).await.unwrap_err();
    assert_eq!(refused, json!({ "reason": "private" }));
}

#[derive(Deserialize)]
struct Message {
    from: String,
    text: String,
}

#[tokio::test]
async fn a_message_is_answered_and_broadcast() {
    let channel = lobby().await;
    let reference = channel.push("new_message", json!({ "text": "hello" }));
    assert_reply!(reference, ok, json!({ "count": 1 }));
    assert_push!(channel, "message", json!({ "from": "blue", "text": "hello" }));
    assert_broadcast!(channel, "message", |message: Message| message.text.len() == 5);
    refute_push!(channel);
}

#[tokio::test]
async fn a_pattern_matches_a_part_and_can_return_it() {
    let channel = lobby().await;
    channel.push("new_message", json!({ "text": "hello" }));
    let text = assert_push!(channel, "message", Message { text, from } if from == "blue" => text);
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn messages_arrive_in_order() {
    let channel = lobby().await;
    for text in ["one", "two"] {
        channel.push("new_message", json!({ "text": text }));
    }
    assert_broadcast!(channel, "message", Message { text, .. } if text == "two");
    assert_reply!(channel.push("new_message", json!({ "text": "three" })), ok);

    let message = |text: &str| ("message", json!({ "from": "blue", "text": text }));
    let pushes: Vec<Arrival> =
        channel.mailbox().into_iter().filter(|arrival| matches!(arrival, Arrival::Push { .. })).collect();
    assert_eq!(pushes, [message("one"), message("two"), message("three")]);
}

#[tokio::test]
async fn a_channel_without_messages_is_idle_after_ten_minutes() {
    let channel = lobby().await;
    refute_push!(channel, "idle", _, Duration::from_secs(599));
    assert_push!(channel, "idle", json!({}), Duration::from_secs(2));
}

#[tokio::test]
async fn a_room_counts_its_messages() {
    let channel = lobby().await;
    channel.push("new_message", json!({ "text": "hello" }));
    assert_eq!(channel.state(|room: &RoomChannel| room.messages).await, 1);
}

#[tokio::test]
async fn a_room_with_a_message_is_not_idle() {
    let channel = lobby().await;
    channel.push("new_message", json!({ "text": "hello" }));
    channel.send::<RoomChannel, _>(IdleTimeout);
    refute_push!(channel, "idle");
}

#[tokio::test]
async fn messages_are_counted_in_a_metric() {
    let metrics = capture_metrics();
    let channel = lobby().await;
    assert_reply!(channel.push("new_message", json!({ "text": "hello" })), ok);
    assert_eq!(metrics.counter("chat.messages", &[]), 1);
    assert_eq!(metrics.counter("bennu.channel.joins", &[("result", "ok")]), 1);
}

#[tokio::test]
async fn an_unknown_event_crashes_the_channel_and_is_logged() {
    let log = capture_log();
    let channel = lobby().await;
    channel.push("unknown", json!({}));
    assert_push!(channel, "phx_error", json!({ "reason": "channel_crash" }));
    log.assert_contains("ERROR channel crashed topic=room:lobby");
}

#[tokio::test]
async fn the_server_can_disconnect_a_user() {
    let channel = lobby().await;
    channel.test().endpoint().disconnect("chat:blue").unwrap();
    assert_eq!(channel.socket().closed().await.code(), Some(1001));
}

#[tokio::test]
async fn a_channel_receives_no_broadcast_after_leave() {
    let channel = lobby().await;
    assert_reply!(channel.leave(), ok);
    assert_push!(channel, "phx_close");
    channel.broadcast_from("message", json!({}));
    refute_push!(channel);
}

#[test]
fn the_guide_contains_these_listings_word_for_word() {
    let (guide, listings_file) = (include_str!("../../../../docs/guide/testing.md"), include_str!("guide.rs"));
    let listings: Vec<&str> = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(listings.len(), 9);
    for listing in listings {
        assert!(listings_file.contains(listing), "guide.rs does not contain:\n{listing}");
    }
}
