//! The names that a file with sockets and channels in it needs: `use bennu::prelude::*;`.

pub use crate::{
    Broadcast, Channel, ChannelRef, ChannelRouter, Connect, ConnectInfo, Context, Crash, Endpoint, Exit, Flow,
    HandleInfo, Handled, IntoPayload, Joined, OrReply, Payload, Refusal, Reply, Socket, StopReason, Terminate, Timer,
    accept, accept_with, crash, noreply, refuse, reply, reply_error, reply_ok, stop, stop_with, unhandled,
};
pub use bennu_pubsub::Message;
pub use bennu_token::{Secret, Token};
pub use serde_json::json;
