//! `ping` and `ping:*`: all kinds of replies of a channel. The channel needs no user, so `/socket` and `/auth_socket`
//! both route to it.

use bennu::prelude::*;
use serde_json::Value;

pub(crate) struct PingChannel;

impl<S: Socket> Channel<S> for PingChannel {
    const INTERCEPT: &'static [&'static str] = &["request_ping"];

    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
        accept(PingChannel)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        match event {
            "ping" => reply_ok(json!({ "ping": payload.get("ack_phrase")?.unwrap_or(json!("pong")) })),
            "pong" => noreply(),
            "pang" => stop_with(StopReason::Shutdown, Reply::ok(json!({ "msg": "shutting down" }))),
            "param_ping" if payload.is_object() && payload.get("error")? == Some(json!(true)) => {
                reply_error(json!({ "reason": "You asked for this!" }))
            }
            "param_ping" => reply_ok(payload),
            _ => match event.strip_prefix("ping:") {
                Some(phrase) => reply_ok(json!({ "ping": phrase })),
                None => unhandled(event),
            },
        }
    }

    /// Handles `request_ping`, the only intercepted event: requests a ping of the client and adds this node's name.
    async fn handle_out(&mut self, _event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Flow {
        let mut payload: Value = payload.parse()?;
        payload["from_node"] = ctx.endpoint().pubsub().node().as_str().into();
        ctx.push("send_ping", payload)?;
        noreply()
    }
}
