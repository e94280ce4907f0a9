//! The fixture's channels, as `conformance/README.md` specifies them.

use bennu::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

pub(crate) struct Ping;

#[derive(Deserialize)]
struct ParamPing {
    #[serde(default)]
    error: serde_json::Value,
}

impl<S: Socket> Channel<S> for Ping {
    const INTERCEPT: &'static [&'static str] = &["request_ping"];

    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Ping)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => {
                let phrase: serde_json::Value = payload.get("ack_phrase")?.unwrap_or_else(|| "pong".into());
                reply_ok(json!({ "ping": phrase }))
            }
            "pong" => noreply(),
            "pang" => stop_with(StopReason::Shutdown, Reply::ok(json!({ "msg": "shutting down" }))),
            "param_ping" if payload.is_object() && payload.parse::<ParamPing>()?.error == true => {
                reply_error(json!({ "reason": "You asked for this!" }))
            }
            "param_ping" | "echo" => reply_ok(payload),
            "just_ok" => reply_ok(Payload::empty()),
            "just_error" => reply_error(Payload::empty()),
            "custom_status" => reply("teapot", json!({ "a": 1 })),
            "stop_shutdown" | "stop_shutdown_t" => stop(StopReason::Shutdown),
            "stop_normal" => stop(StopReason::Normal),
            "stop_error" => stop(StopReason::Failed("oops".into())),
            "stop_error_reply" => stop_with(StopReason::Failed("oops".into()), Reply::error(json!({ "m": 1 }))),
            "raise" | "exit_normal" | "bad_return" => panic!("the event {event:?} crashes this channel"),
            "push_two" => {
                ctx.push("one", json!({ "n": 1 }))?;
                ctx.push("two", json!({ "n": 2 }))?;
                reply_ok(json!({ "n": 3 }))
            }
            "async_reply" => {
                let later = ctx.reply_ref()?;
                ctx.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    later.ok(json!({ "later": true }))?;
                    noreply()
                });
                noreply()
            }
            "reply_list" => reply_ok(json!([1, 2])),
            "reply_string" => reply_ok(json!("s")),
            _ => match event.strip_prefix("ping:") {
                Some(phrase) => reply_ok(json!({ "ping": phrase })),
                None => unhandled(event),
            },
        }
    }

    async fn handle_out(&mut self, _event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        let mut fields: serde_json::Map<String, serde_json::Value> = payload.parse()?;
        fields.insert("from_node".to_owned(), ctx.endpoint().pubsub().node().as_str().into());
        ctx.push("send_ping", &fields)?;
        noreply()
    }
}

pub(crate) struct Bench;

impl<S: Socket> Channel<S> for Bench {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(Bench)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "echo" => reply_ok(payload),
            "broadcast" => {
                ctx.broadcast("msg", payload)?;
                noreply()
            }
            "broadcast_from" => {
                ctx.broadcast_from("msg", payload)?;
                noreply()
            }
            "broadcast_ack" => {
                ctx.broadcast("msg", payload)?;
                reply_ok(Payload::empty())
            }
            "binary" => reply_ok(payload.to_binary()?),
            "binary_err" => reply_error(payload.to_binary()?),
            "bin_to_json" => reply_ok(json!({ "size": payload.to_binary()?.len() })),
            "bin_push" => {
                ctx.push("pushed", payload.to_binary()?)?;
                noreply()
            }
            "bin_broadcast" => {
                ctx.broadcast("bin_msg", payload.to_binary()?)?;
                noreply()
            }
            _ => unhandled(event),
        }
    }
}

pub(crate) struct Wild;

impl<S: Socket> Channel<S> for Wild {
    async fn join(topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let numbers: Result<Vec<i64>, _> =
            topic.trim_start_matches("wild:").split(':').map(str::parse::<i64>).collect();
        match numbers?[..] {
            [a, b] if b == a * 2 => accept(Wild),
            _ => refuse(Payload::empty()),
        }
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({ "ping": "pong" })),
            _ => unhandled(event),
        }
    }
}

pub(crate) struct CrashingJoin;

impl<S: Socket> Channel<S> for CrashingJoin {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        panic!("this channel's join always panics")
    }
}

pub(crate) struct Slow;

/// Replies to simultaneous joins in the order of their arrival, since the script compares transcripts.
static JOIN_ORDER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl<S: Socket> Channel<S> for Slow {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let delay = tokio::time::sleep(Duration::from_millis(300));
        let _order = JOIN_ORDER.lock().await;
        delay.await;
        accept(Slow)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "echo" => reply_ok(payload),
            _ => unhandled(event),
        }
    }
}

pub(crate) struct Deny;

impl<S: Socket> Channel<S> for Deny {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        refuse(json!({ "reason": "denied" }))
    }
}

pub(crate) struct ReplyChannel;

/// The reply of `reply:*`, with the join's params byte for byte.
#[derive(Serialize)]
struct Echo<'a> {
    topic: &'a str,
    got: Box<RawValue>,
}

impl<S: Socket> Channel<S> for ReplyChannel {
    async fn join(topic: &str, params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let is_set = |param| params.as_json().is_some() && params.get(param).is_ok_and(|value| value == Some(true));
        if is_set("fail") {
            return refuse(json!({ "reason": "no" }));
        }
        assert!(!is_set("crash"), "the param `crash` crashes this join");
        accept_with(ReplyChannel, &Echo { topic, got: params.parse()? })
    }
}

/// A socket with an authenticated user.
pub(crate) trait Authenticated: Socket {
    fn user(&self) -> &str;
}

pub(crate) struct User;

impl<S: Authenticated> Channel<S> for User {
    async fn join(topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
        if topic.strip_prefix("user:") != Some(ctx.socket.user()) {
            return refuse(json!({ "reason": "unauthorized" }));
        }
        accept(User)
    }
}

/// Tracks the user of each join.
pub(crate) struct Present {
    user: String,
}

impl<S: Socket> Channel<S> for Present {
    async fn join(_topic: &str, params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        let user = match params.get("user")? {
            Some(serde_json::Value::String(user)) => user,
            Some(other) => other.to_string(),
            None => "anon".to_owned(),
        };
        accept(Present { user })
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "update" => ctx.update(&self.user, &payload.parse::<serde_json::Value>()?).map(drop)?,
            "untrack" => ctx.untrack(&self.user)?,
            _ => return unhandled(event),
        }
        reply_ok(Payload::empty())
    }

    async fn joined(&mut self, ctx: &mut Context<S, Self>) -> Flow {
        ctx.track(&self.user, &json!({ "online_at": 1 }))?;
        ctx.push("presence_state", ctx.presence_list().await)?;
        noreply()
    }
}
