//! `user:ID`: each user's own topic, and nobody else's. The token said who it is when the socket connected.
//!
//! What `pipeline` sends to a user goes out as it is, or timed: then the time from sending to delivery is the histogram
//! `pipeline.push_delivered`, in milliseconds.

use crate::clock::unix_ms;
use crate::socket::AuthSocket;
use bennu::BroadcastError;
use bennu::prelude::*;
use bennu_telemetry::histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One user's topic; it has nothing to remember.
pub(crate) struct AuthChannel;

/// What a timed event is broadcast as; the client gets the data alone.
#[derive(Serialize, Deserialize)]
struct Timed {
    data: Value,
    /// When it was sent, in milliseconds since 1970.
    at: u64,
}

impl AuthChannel {
    /// Sends an event `push` to all clients of a user: one that no channel looks at.
    ///
    /// # Errors
    /// When the data is no object, or other nodes are out of reach.
    pub(crate) fn push(endpoint: &Endpoint, user_id: u64, data: Value) -> Result<(), BroadcastError> {
        endpoint.broadcast(&topic_of(user_id), "push", data)
    }

    /// Sends an event `push_timed` to all clients of a user, and has its delivery timed since `at`, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// When other nodes are out of reach.
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

    /// Only `push_timed` comes here.
    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<AuthSocket, Self>) -> Flow {
        let Timed { data, at } = payload.parse()?;
        ctx.push(event, data)?;
        // Another node's clock may be ahead of this one's: that is no time at all.
        histogram("pipeline.push_delivered", unix_ms().saturating_sub(at) as f64, &[]);
        noreply()
    }
}

fn topic_of(user_id: u64) -> String {
    format!("user:{user_id}")
}
