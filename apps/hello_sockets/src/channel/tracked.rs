//! `tracked`: a presence for each joined client, listed on all nodes. The token determines the user. A user in two tabs
//! is one user with two metas; each meta contains the time of the join and the node.

use crate::channel::unix_s;
use crate::socket::AuthSocket;
use bennu::prelude::*;

pub(crate) struct TrackedChannel;

impl Channel<AuthSocket> for TrackedChannel {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<AuthSocket, Self>) -> Joined<Self> {
        accept(TrackedChannel)
    }

    async fn joined(&mut self, ctx: &mut Context<AuthSocket, Self>) -> Flow {
        let users = &ctx.state().presence;
        let (user_id, node) = (ctx.socket.user_id.to_string(), ctx.endpoint().pubsub().node().to_string());
        users.track(ctx, &user_id, &json!({ "online_at": unix_s(), "node": node }))?;
        ctx.push("presence_state", users.list(ctx.topic()).await)?;
        noreply()
    }
}
