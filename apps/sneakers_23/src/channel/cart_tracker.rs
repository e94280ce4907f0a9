//! `admin:cart_tracker`: the shoppers, for the owner.
//!
//! While they are few, the owner gets each presence, as with any Presence. Of thousands it gets the counts, which
//! `dashboard` broadcasts at most once a second.

use crate::shoppers;
use crate::socket::AdminSocket;
use bennu::prelude::*;

/// The owner's view of the shoppers.
pub struct CartTrackerChannel {
    /// Whether the client has the presences and gets their diffs.
    is_detailed: bool,
}

impl Channel<AdminSocket> for CartTrackerChannel {
    const INTERCEPT: &'static [&'static str] = &["presence_diff"];

    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<AdminSocket, Self>) -> Joined<Self> {
        accept(CartTrackerChannel { is_detailed: false })
    }

    async fn joined(&mut self, ctx: &mut Context<AdminSocket, Self>) -> Flow {
        ctx.push("shoppers", &ctx.state().shoppers.counts())?;
        ctx.state().dashboard.add_page();
        self.push_state_if_few(ctx).await?;
        noreply()
    }

    async fn handle_out(&mut self, event: &str, payload: Payload, ctx: &mut Context<AdminSocket, Self>) -> Flow {
        if !ctx.state().shoppers.are_few() {
            self.is_detailed = false;
        } else if self.is_detailed {
            ctx.push(event, payload)?;
        } else {
            self.push_state_if_few(ctx).await?;
        }
        noreply()
    }
}

impl CartTrackerChannel {
    /// Pushes all presences, which is where the diffs begin.
    async fn push_state_if_few(&mut self, ctx: &Context<AdminSocket, Self>) -> Result<(), Crash> {
        self.is_detailed = ctx.state().shoppers.are_few();
        if self.is_detailed {
            ctx.push("presence_state", ctx.state().shoppers.presence().list(shoppers::TOPIC).await)?;
        }
        Ok(())
    }
}
