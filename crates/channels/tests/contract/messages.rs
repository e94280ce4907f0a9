//! Messages between a client and its channel: immediate and later replies, pushes, binary payloads, and the limits of
//! V1.

use crate::socket;
use crate::support::*;
use bennu_channels::prelude::*;
use bennu_channels::protocol::{Frame, Serializer};
use bennu_channels::{ChannelGone, ChannelRef, NothingToReplyTo, ReplyRef, Status};
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// References that a channel has given to another task, which is the test.
    static REPLY_REFS: RefCell<Vec<ReplyRef>> = const { RefCell::new(Vec::new()) };
    static CHANNELS: RefCell<Vec<ChannelRef<TestSocket, Talker>>> = const { RefCell::new(Vec::new()) };
}

struct Talker;

struct Say(&'static str);

impl Channel<TestSocket> for Talker {
    async fn join(_: &str, params: Payload, ctx: &mut Context<TestSocket, Self>) -> Joined<Self> {
        CHANNELS.with_borrow_mut(|channels| channels.push(ctx.channel()));
        if params.get("binary")? == Some(true) {
            return accept_with(Talker, vec![1, 2]);
        }
        accept(Talker)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<TestSocket, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({ "ping": "pong" })),
            "echo" => reply_ok(payload),
            "echo_error" => reply_error(payload),
            "echo_status" => reply("teapot", payload),
            "echo_ok_by_name" => reply("ok", payload),
            "echo_any" => {
                let word: String = payload.parse()?;
                reply(Status::Other(word.into()), json!({}))
            }
            "silent" => noreply(),
            "push_two" => {
                ctx.push("one", json!({ "n": 1 }))?;
                ctx.push("two", json!({ "n": 2 }))?;
                reply_ok(json!({ "n": 3 }))
            }
            "push_back" => {
                ctx.push("pushed", payload)?;
                noreply()
            }
            "push_if_possible" => match ctx.push("pushed", payload) {
                Ok(()) => noreply(),
                Err(error) => reply_error(json!({ "reason": error.to_string() })),
            },
            "size" => reply_ok(json!({ "size": payload.to_binary()?.len() })),
            "later" => {
                let reply_ref = ctx.reply_ref().expect("there is a message to answer");
                REPLY_REFS.with_borrow_mut(|refs| refs.push(reply_ref));
                noreply()
            }
            "later_in_a_task" => {
                let reply_ref = ctx.reply_ref().expect("there is a message to answer");
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    reply_ref.ok(json!({ "later": true })).expect("JSON can be sent");
                });
                reply("first", json!({}))
            }
            "broken" => reply_ok(&std::collections::BTreeMap::from([((1, 2), 3)])),
            _ => unhandled(event),
        }
    }
}

impl HandleInfo<TestSocket, Say> for Talker {
    async fn handle_info(&mut self, say: Say, ctx: &mut Context<TestSocket, Self>) -> Flow {
        assert_eq!(ctx.reply_ref().unwrap_err(), NothingToReplyTo);
        ctx.push("said", json!({ "what": say.0 }))?;
        noreply()
    }
}

socket!(TestSocket: "talk:*" => Talker);

const TALK: &str = "talk:1";

fn reply_refs() -> Vec<ReplyRef> {
    REPLY_REFS.take()
}

async fn joined() -> Client {
    let mut client = connect::<TestSocket>().await;
    client.join(TALK, "1").await;
    client
}

async fn joined_v1() -> Client {
    let mut connecting = Connecting::to(&endpoint());
    connecting.serializer = Serializer::V1;
    let mut client = connecting.open::<TestSocket>().await;
    client.send(json!({ "topic": TALK, "event": "phx_join", "payload": {}, "ref": "1" }));
    let ok = json!({ "status": "ok", "response": {} });
    client.expect([json!({ "topic": TALK, "event": "phx_reply", "payload": ok, "ref": "1" })]).await;
    client
}

#[tokio::test(start_paused = true)]
async fn replies_carry_their_status_and_payload() {
    let mut client = joined().await;
    for (event, status) in
        [("echo", "ok"), ("echo_error", "error"), ("echo_status", "teapot"), ("echo_ok_by_name", "ok")]
    {
        for payload in [json!({ "a": [1, null] }), json!("s"), json!(5), json!(null), json!([]), json!(true)] {
            client.send(json!(["1", "2", TALK, event, payload]));
            client.expect([json!(["1", "2", TALK, "phx_reply", { "status": status, "response": payload }])]).await;
        }
    }
    client.send(json!(["1", "2", TALK, "echo_any", "quo\"ted\n"]));
    client.expect([json!(["1", "2", TALK, "phx_reply", { "status": "quo\"ted\n", "response": {} }])]).await;
}

#[tokio::test(start_paused = true)]
async fn json_comes_back_byte_for_byte() {
    let mut client = joined().await;
    client.send_text(r#"["1","2","talk:1","echo",{"b":1, "a":1e3,"b":3}]"#);
    let frame = client.next_text().await;
    assert_eq!(frame, r#"["1","2","talk:1","phx_reply",{"response":{"b":1, "a":1e3,"b":3},"status":"ok"}]"#);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_replied_to_is_not() {
    let mut client = joined().await;
    client.send(json!(["1", "2", TALK, "silent", {}]));
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn pushes_and_the_reply_come_in_the_order_they_were_sent() {
    let mut client = joined().await;
    client.send(json!(["1", "2", TALK, "push_two", {}]));
    client
        .expect([
            json!(["1", null, TALK, "one", { "n": 1 }]),
            json!(["1", null, TALK, "two", { "n": 2 }]),
            ok("1", "2", TALK, json!({ "n": 3 })),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_given_later_and_by_another_task() {
    let mut client = joined().await;
    client.send_all([json!(["1", "2", TALK, "later", {}]), json!(["1", "3", TALK, "later", {}])]);
    client.expect_nothing().await;
    let [first, second] = reply_refs().try_into().expect("two");
    client.send(json!(["1", "4", TALK, "ping", {}]));
    client.expect([ok("1", "4", TALK, json!({ "ping": "pong" }))]).await;
    second.error(json!({ "n": 2 })).unwrap();
    first.reply(Reply::new("teapot", vec![7])).unwrap();
    client.expect([error("1", "3", TALK, json!({ "n": 2 }))]).await;
    assert_eq!(client.next_binary().await, b"\x01\x01\x01\x06\x0612talk:1teapot\x07"[..]);
    client.send(json!(["1", "5", TALK, "later_in_a_task", {}]));
    let first = json!(["1", "5", TALK, "phx_reply", { "status": "first", "response": {} }]);
    client.expect([first, ok("1", "5", TALK, json!({ "later": true }))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_after_its_channel_has_ended_still_answers_its_message() {
    let mut client = joined().await;
    client.send_all([json!(["1", "2", TALK, "later", {}]), json!(["1", "3", TALK, "phx_leave", {}])]);
    client.expect([ok("1", "3", TALK, json!({})), phx_close("1", TALK)]).await;
    reply_refs().remove(0).ok(json!({})).unwrap();
    client.expect([ok("1", "2", TALK, json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_after_its_connection_has_closed_is_no_error() {
    let client = joined().await;
    client.send(json!(["1", "2", TALK, "later", {}]));
    rest().await;
    let connection = client.connection().clone();
    client.hang_up();
    rest().await;
    reply_refs().remove(0).ok(json!({})).unwrap();
    let mut frames = Vec::new();
    assert_eq!(connection.outbox().take(&mut frames, 10), bennu_channels::transport::Taken::All);
    assert!(frames.is_empty());
    assert_eq!(Arc::strong_count(&connection), 1, "nothing keeps the connection");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_the_client_cannot_receive_is_an_error_of_the_handler() {
    let mut client = joined_v1().await;
    client.send(json!({ "topic": TALK, "event": "later", "payload": {}, "ref": "2" }));
    client.expect_nothing().await;
    let error = reply_refs().remove(0).ok(vec![1, 2, 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not send a binary payload of 3 bytes to a V1 client; only V2 has binary frames"
    );
}

#[tokio::test(start_paused = true)]
async fn any_task_can_send_to_a_channel_until_it_has_ended() {
    let mut client = joined().await;
    let channel = CHANNELS.take().remove(0);
    channel.send(Say("one")).unwrap();
    channel.clone().send(Say("two")).unwrap();
    for what in ["one", "two"] {
        client.expect([json!(["1", null, TALK, "said", { "what": what }])]).await;
    }
    client.send(json!(["1", "3", TALK, "phx_leave", {}]));
    client.expect([ok("1", "3", TALK, json!({})), phx_close("1", TALK)]).await;
    assert_eq!(channel.send(Say("three")), Err(ChannelGone));
    client.join(TALK, "4").await;
    assert_eq!(channel.send(Say("three")), Err(ChannelGone), "another join is another channel");
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_a_channel_keeps_neither_it_nor_its_connection() {
    let client = joined().await;
    let channel = CHANNELS.take().remove(0);
    let connection = Arc::downgrade(client.connection());
    client.hang_up();
    rest().await;
    assert!(connection.upgrade().is_none());
    assert_eq!(channel.send(Say("three")), Err(ChannelGone));
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways() {
    let mut client = joined().await;
    client.send_binary(b"\x00\x01\x01\x06\x0412talk:1echo\x01\x02\x00\xff");
    assert_eq!(client.next_binary().await, b"\x01\x01\x01\x06\x0212talk:1ok\x01\x02\x00\xff"[..]);
    client.send_binary(b"\x00\x01\x01\x06\x0a13talk:1echo_error");
    assert_eq!(client.next_binary().await, b"\x01\x01\x01\x06\x0513talk:1error"[..]);
    client.send_binary(b"\x00\x01\x01\x06\x0412talk:1size\x01\x02\x00\xff");
    client.expect([ok("1", "2", TALK, json!({ "size": 4 }))]).await;
    client.send_binary(b"\x00\x01\x01\x06\x0912talk:1push_back\x01\x02");
    assert_eq!(client.next_binary().await, b"\x00\x01\x06\x061talk:1pushed\x01\x02"[..]);
}

#[tokio::test(start_paused = true)]
async fn a_join_can_be_answered_with_bytes() {
    let mut client = connect::<TestSocket>().await;
    client.send(json!(["1", "1", TALK, "phx_join", { "binary": true }]));
    assert_eq!(client.next_binary().await, b"\x01\x01\x01\x06\x0211talk:1ok\x01\x02"[..]);
}

#[tokio::test(start_paused = true)]
async fn bytes_where_json_is_asked_for_and_json_where_bytes_are_are_errors_that_say_so() {
    let log = Log::capture();
    let mut client = joined().await;
    client.send_binary(b"\x00\x01\x01\x06\x0812talk:1echo_any\x01\x02");
    client.expect([phx_error("1", TALK)]).await;
    client.join(TALK, "1").await;
    client.send(json!(["1", "2", TALK, "size", {}]));
    client.expect([phx_error("1", TALK)]).await;
    let errors = log.of("ERROR");
    assert!(errors[0].ends_with(r#"why="the payload is not JSON but 2 bytes of binary data""#), "{errors:?}");
    assert!(errors[1].ends_with(r#"why="the payload is not binary data but JSON""#), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn a_push_that_the_client_cannot_receive_is_an_error_and_a_reply_is_a_crash() {
    let log = Log::capture();
    let long = format!("talk:{}", "x".repeat(300));
    let mut client = connect::<TestSocket>().await;
    client.join(&long, "1").await;
    client.send(json!(["1", "2", long, "push_if_possible", {}]));
    assert_eq!(client.next().await[3], "pushed");
    client.send(json!(["1", "3", long, "broken", {}]));
    client.expect([phx_error("1", &long)]).await;
    assert!(log.of("ERROR")[0].contains("could not reply: could not write the payload as JSON"), "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_is_not_utf8_is_echoed_in_bytes_and_crashes_the_channel_where_json_is_the_answer() {
    let mut client = joined().await;
    client.send_binary(b"\x00\x01\x01\x06\x041\xfftalk:1echo\x01");
    assert_eq!(client.next_binary().await, b"\x01\x01\x01\x06\x021\xfftalk:1ok\x01"[..]);
    client.send_binary(b"\x00\x01\x01\x06\x041\xfftalk:1size\x01");
    client.expect([phx_error("1", TALK)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_v1_client_is_spoken_to_in_v1() {
    let mut client = joined_v1().await;
    let v1 = |event: &str, payload, reference: serde_json::Value| json!({ "topic": TALK, "event": event, "payload": payload, "ref": reference });
    client.send(json!({ "topic": TALK, "event": "push_two", "payload": {}, "ref": "5" }));
    client
        .expect([
            v1("one", json!({ "n": 1 }), json!(null)),
            v1("two", json!({ "n": 2 }), json!(null)),
            v1("phx_reply", json!({ "status": "ok", "response": { "n": 3 } }), json!("5")),
        ])
        .await;
    client.send(json!({ "topic": TALK, "event": "phx_leave", "payload": {}, "ref": "6" }));
    client
        .expect([
            v1("phx_reply", json!({ "status": "ok", "response": {} }), json!("6")),
            v1("phx_close", json!({}), json!(null)),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_no_message_closes_the_connection_as_a_bad_message() {
    let log = Log::capture();
    let client = joined().await;
    for frame in [Frame::Text("not json"), Frame::Text("[]"), Frame::Binary(b"\x01"), Frame::Binary(b"")] {
        assert!(client.try_send(frame).is_err(), "{frame:?}");
    }
    assert!(log.of("WARN")[0].contains("the text is not a V2 message: "), "{:?}", log.lines());
}
