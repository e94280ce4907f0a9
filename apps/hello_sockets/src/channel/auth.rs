//! `user:ID`: each user's own topic, and nobody else's. The token said who it is when the socket connected.

use crate::socket::AuthSocket;
use bennu::prelude::*;

pub(crate) struct AuthChannel;

impl Channel<AuthSocket> for AuthChannel {
    async fn join(topic: &str, _params: Payload, ctx: &mut Context<AuthSocket, Self>) -> Result<Self, JoinError> {
        let user_id = ctx.socket.user_id;
        if topic == format!("user:{user_id}") {
            return Ok(AuthChannel);
        }
        tracing::error!(topic, user_id, "AuthChannel refused a join");
        refuse(json!({ "reason": "unauthorized" }))
    }
}
