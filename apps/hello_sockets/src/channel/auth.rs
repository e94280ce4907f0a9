//! `user:ID`: the topic of one user. The socket's token, checked at the connect, determines the user.
//!
//! `pipeline` sends pushes to it, plain or timed. For a timed push, the time from sending to delivery is recorded in
//! the histogram `pipeline.push_delivered`, in milliseconds.

use crate::channel::unix_ms;
use crate::socket::AuthSocket;
use bennu::error::BroadcastError;
use bennu::prelude::*;
use bennu_telemetry::histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The channel of one user's topic. It has no state.
pub(crate) struct AuthChannel;

/// The payload of a timed broadcast; the client receives the data only.
#[derive(Serialize, Deserialize)]
struct Timed {
    data: Value,
    /// The time of sending, in milliseconds since 1970.
    at: u64,
}

impl AuthChannel {
    /// Sends an event `push` to all clients of a user. No channel intercepts it.
    ///
    /// # Errors
    /// When the data is not an object, or other nodes cannot be reached.
    pub(crate) fn push(endpoint: &Endpoint, user_id: u64, data: Value) -> Result<(), BroadcastError> {
        endpoint.broadcast(&topic_of(user_id), "push", data)
    }

    /// Sends an event `push_timed` to all clients of a user. Each delivery is measured from `at`, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// When other nodes cannot be reached.
    pub(crate) fn push_timed(endpoint: &Endpoint, user_id: u64, data: Value, at: u64) -> Result<(), BroadcastError> {
        endpoint.broadcast(&topic_of(user_id), "push_timed", &Timed { data, at })
    }
}

impl Channel<AuthSocket> for AuthChannel {
    const INTERCEPT: &'static [&'static str] = &["push_timed"];

    async fn join(topic: &str, _params: Payload, ctx: &mut Context<AuthSocket, Self>) -> Joined<Self> {
        let user_id = ctx.socket.user_id;
        if topic == topic_of(user_id) {
            return accept(AuthChannel);
        }
        tracing::error!(topic, user_id, "AuthChannel refused a join");
        refuse(json!({ "reason": "unauthorized" }))
    }

    /// Handles `push_timed`, the only intercepted event.
    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<AuthSocket, Self>) -> Flow {
        let Timed { data, at } = payload.parse()?;
        ctx.push(event, data)?;
        // Another node's clock may be ahead of this one's; the duration is then 0.
        histogram("pipeline.push_delivered", unix_ms().saturating_sub(at) as f64, &[]);
        noreply()
    }
}

fn topic_of(user_id: u64) -> String {
    format!("user:{user_id}")
}
