//! What a file with channels in it needs: `use bennu::prelude::*;`.

pub use crate::{
    Broadcast, Channel, ChannelRouter, Connect, Context, Endpoint, Flow, HandleInfo, Handled, JoinError, Payload,
    Refusal, Reply, Socket, StopReason, Terminate, noreply, refuse, reply, reply_error, reply_ok, stop, stop_with,
    unhandled,
};
pub use bennu_token::Token;
pub use serde_json::json;
