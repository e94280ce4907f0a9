//! `recurring`: a newly signed token every five seconds, from a timer of the channel's own.

use crate::socket::{AuthSocket, SALT};
use bennu::prelude::*;
use std::time::Duration;

/// Short for a demonstration; an application would use a little less than the token's age limit.
const INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct RecurringChannel;

struct SendToken;

impl Channel<AuthSocket> for RecurringChannel {
    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<AuthSocket, Self>) -> Joined<Self> {
        ctx.send_after(INTERVAL, SendToken);
        accept(RecurringChannel)
    }
}

impl HandleInfo<AuthSocket, SendToken> for RecurringChannel {
    async fn handle_info(&mut self, _: SendToken, ctx: &mut Context<AuthSocket, Self>) -> Flow {
        ctx.send_after(INTERVAL, SendToken);
        ctx.push("new_token", json!({ "token": ctx.sign(SALT, &ctx.socket.user_id)? }))?;
        noreply()
    }
}
