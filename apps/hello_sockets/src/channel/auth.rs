//! `user:ID`: each user's own topic, and nobody else's. The token said who it is when the socket connected.
//!
//! What is sent to a user goes out as it is, or timed: then the time from sending to delivery is the histogram
//! `pipeline.push_delivered`, in milliseconds.

use crate::socket::AuthSocket;
use bennu::BroadcastError;
use bennu::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::SystemTime;

/// One user's topic; it has nothing to remember.
pub struct AuthChannel;

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
    pub fn push(endpoint: &Endpoint, user_id: u64, data: Value) -> Result<(), BroadcastError> {
        endpoint.broadcast(&topic_of(user_id), "push", data)
    }

    /// Sends an event `push_timed` to all clients of a user, and has its delivery timed.
    ///
    /// # Errors
    /// When other nodes are out of reach.
    pub fn push_timed(endpoint: &Endpoint, user_id: u64, data: Value) -> Result<(), BroadcastError> {
        endpoint.broadcast(&topic_of(user_id), "push_timed", Payload::json(&Timed { data, at: unix_ms() }))
    }
}

impl Channel<AuthSocket> for AuthChannel {
    const INTERCEPT: &'static [&'static str] = &["push_timed"];

    async fn join(topic: &str, _params: Payload, ctx: &mut Context<AuthSocket, Self>) -> Result<Self, JoinError> {
        let user_id = ctx.socket.user_id;
        if topic == topic_of(user_id) {
            return Ok(AuthChannel);
        }
        tracing::error!(topic, user_id, "AuthChannel refused a join");
        refuse(json!({ "reason": "unauthorized" }))
    }

    /// Only `push_timed` comes here.
    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<AuthSocket, Self>) -> Flow {
        let Timed { data, at } = payload.parse()?;
        ctx.push(event, data)?;
        // Another node's clock may be ahead of this one's: that is no time at all.
        metrics::histogram!("pipeline.push_delivered").record(unix_ms().saturating_sub(at) as f64);
        noreply()
    }
}

fn topic_of(user_id: u64) -> String {
    format!("user:{user_id}")
}

fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
