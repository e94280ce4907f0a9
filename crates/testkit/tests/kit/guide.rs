//! The listings of `docs/guide/testing.md`, in their order: they are compiled and run here, and the guide must have them
//! word for word.

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
            tracing::warn!("somebody without a token");
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
    said: u64,
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

struct Bored;

impl Channel<ChatSocket> for RoomChannel {
    async fn join(topic: &str, _: Payload, ctx: &mut Context<ChatSocket, Self>) -> Joined<Self> {
        if topic == "room:attic" {
            return refuse(json!({ "reason": "locked" }));
        }
        ctx.send_after(Duration::from_secs(600), Bored);
        accept_with(RoomChannel { said: 0 }, json!({ "you": ctx.socket.name }))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<ChatSocket, Self>) -> Handled {
        match event {
            "say" => {
                let Say { text } = payload.parse()?;
                self.said += 1;
                metrics::counter!("chat.said").increment(1);
                ctx.broadcast("said", json!({ "from": ctx.socket.name, "text": text }))?;
                reply_ok(json!({ "said": self.said }))
            }
            _ => unhandled(event),
        }
    }
}

impl HandleInfo<ChatSocket, Bored> for RoomChannel {
    async fn handle_info(&mut self, _: Bored, ctx: &mut Context<ChatSocket, Self>) -> Flow {
        if self.said == 0 {
            ctx.push("bored", json!({}))?;
        }
        noreply()
    }
}

use bennu_testkit::prelude::*;

#[tokio::test]
async fn a_token_opens_the_socket() {
    let test = ChannelTest::new();
    let token = test.endpoint().sign("chat", "blue").unwrap();
    let socket = test.connect::<ChatSocket>(json!({ "token": token })).await.unwrap();
    assert_eq!(socket.id(), Some("chat:blue"));
    assert_eq!(socket.state().name, "blue");
}

#[tokio::test]
async fn nonsense_does_not_and_the_log_says_so() {
    let log = capture_log();
    assert!(ChannelTest::new().connect::<ChatSocket>(json!({ "token": "nonsense" })).await.is_err());
    log.assert_contains("WARN somebody without a token");
}

async fn lobby() -> TestChannel<ChatSocket> {
    let socket = ChannelTest::new().socket(ChatSocket { name: "blue".to_owned() });
    socket.subscribe_and_join("room:lobby", json!({})).await.unwrap()
}

#[tokio::test]
async fn a_join_is_answered_with_the_name() {
    assert_eq!(lobby().await.join_reply(), json!({ "you": "blue" }));
}

#[tokio::test]
async fn the_attic_is_locked() {
    let socket = ChannelTest::new().socket(ChatSocket { name: "blue".to_owned() });
    let refused = socket.join("room:attic", json!({})).await.unwrap_err();
    assert_eq!(refused, json!({ "reason": "locked" }));
}

#[derive(Deserialize)]
struct Said {
    from: String,
    text: String,
}

#[tokio::test]
async fn what_is_said_is_answered_and_broadcast() {
    let channel = lobby().await;
    let reference = channel.push("say", json!({ "text": "hello" }));
    assert_reply!(reference, ok, json!({ "said": 1 }));
    assert_push!(channel, "said", json!({ "from": "blue", "text": "hello" }));
    assert_broadcast!(channel, "said", |said: Said| said.text.len() == 5);
    refute_push!(channel);
}

#[tokio::test]
async fn a_pattern_looks_at_a_part_and_can_give_it() {
    let channel = lobby().await;
    channel.push("say", json!({ "text": "hello" }));
    let text = assert_push!(channel, "said", Said { text, from } if from == "blue" => text);
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn what_is_said_arrives_in_order() {
    let channel = lobby().await;
    for text in ["one", "two"] {
        channel.push("say", json!({ "text": text }));
    }
    assert_broadcast!(channel, "said", Said { text, .. } if text == "two");
    assert_reply!(channel.push("say", json!({ "text": "three" })), ok);

    let said = |text: &str| ("said", json!({ "from": "blue", "text": text }));
    let pushes: Vec<Arrival> =
        channel.mailbox().into_iter().filter(|arrival| matches!(arrival, Arrival::Push { .. })).collect();
    assert_eq!(pushes, [said("one"), said("two"), said("three")]);
}

#[tokio::test]
async fn after_ten_minutes_of_silence_the_channel_is_bored() {
    let channel = lobby().await;
    refute_push!(channel, "bored", _, Duration::from_secs(599));
    assert_push!(channel, "bored", json!({}), Duration::from_secs(2));
}

#[tokio::test]
async fn a_room_counts_what_is_said() {
    let channel = lobby().await;
    channel.push("say", json!({ "text": "hello" }));
    assert_eq!(channel.state(|room: &RoomChannel| room.said).await, 1);
}

#[tokio::test]
async fn who_has_spoken_is_not_bored() {
    let channel = lobby().await;
    channel.push("say", json!({ "text": "hello" }));
    channel.send::<RoomChannel, _>(Bored);
    refute_push!(channel, "bored");
}

#[tokio::test]
async fn what_is_said_is_counted() {
    let metrics = capture_metrics();
    let channel = lobby().await;
    assert_reply!(channel.push("say", json!({ "text": "hello" })), ok);
    assert_eq!(metrics.counter("chat.said", &[]), 1);
    assert_eq!(metrics.counter("bennu.channel.joins", &[("result", "ok")]), 1);
}

#[tokio::test]
async fn an_unknown_event_crashes_the_channel_and_is_logged() {
    let log = capture_log();
    let channel = lobby().await;
    channel.push("shout", json!({}));
    assert_push!(channel, "phx_error", json!({ "reason": "channel_crash" }));
    log.assert_contains("ERROR channel crashed topic=room:lobby");
}

#[tokio::test]
async fn a_user_can_be_disconnected() {
    let channel = lobby().await;
    channel.test().endpoint().disconnect("chat:blue").unwrap();
    assert_eq!(channel.socket().closed().await.code(), Some(1001));
}

#[tokio::test]
async fn who_leaves_hears_nothing_more() {
    let channel = lobby().await;
    assert_reply!(channel.leave(), ok);
    assert_push!(channel, "phx_close");
    channel.broadcast_from("said", json!({}));
    refute_push!(channel);
}

#[test]
fn the_guide_has_these_listings_word_for_word() {
    let (guide, here) = (include_str!("../../../../docs/guide/testing.md"), include_str!("guide.rs"));
    let listings: Vec<&str> = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(listings.len(), 9);
    for listing in listings {
        assert!(here.contains(listing), "not in guide.rs:\n{listing}");
    }
}
