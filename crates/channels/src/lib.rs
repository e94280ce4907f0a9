//! Sockets and channels: the real-time layer, apart from HTTP.
//!
//! The flow: a transport asks a [`SocketMount`] to connect, opens a [`Connection`], and hands it frames. The session
//! routes them by topic; each joined topic is an actor that runs a [`Channel`]; PubSub carries broadcasts; everything
//! for the client goes through the connection's [`Outbox`], which the transport drains.
//!
//! ```text
//! in:   transport ─► connection (session) ─► slot (mailbox) ─► actor (Channel)
//! out:  actor, pubsub ─► slot (fastlane) ─► outbox ─► transport
//! ```
//!
//! Users meet this crate through `bennu`, which adds the HTTP edge.

mod actor;
mod admission;
mod backlog;
mod broadcast;
mod channel;
mod connect;
mod connection;
mod context;
mod drain;
mod encoding;
mod endpoint;
mod exit;
mod fastlane;
mod handle;
mod info;
mod inform;
mod join;
mod mailbox;
mod mount;
mod outbox;
mod outcome;
mod params;
pub mod prelude;
mod presence;
mod reply_ref;
mod route;
mod router;
mod session;
mod slot;
mod socket;
mod state;
mod supervision;
mod task;
mod telemetry;
#[cfg(feature = "testkit")]
mod testkit;
mod timer;

pub use admission::Crowded;
pub use broadcast::{Broadcast, BroadcastError};
pub use channel::{Channel, HandleInfo, Terminate};
pub use connect::{Connect, ConnectInfo, MissingExtension};
pub use connection::{Connected, Connection, Limits};
pub use context::{Context, PushError};
pub use drain::{Drain, Drained};
pub use encoding::{Encoding, Framing};
pub use endpoint::{Endpoint, EndpointBuilder};
pub use exit::{Crash, Exit, IntoCrash, OrReply, TopicPartError, crash, refuse};
pub use info::InfoFor;
pub use inform::{ChannelGone, ChannelRef};
pub use mount::{NotConnected, SocketMount};
pub use outbox::{Drainer, Outbox, Taken};
pub use outcome::{
    Accepted, Flow, Handled, Joined, Outcome, Reply, Step, StopReason, accept, accept_with, noreply, reply,
    reply_error, reply_ok, stop, stop_with, unhandled,
};
pub use params::{MalformedQuery, MissingParam, Params};
pub use presence::{
    Presence, PresenceDiff, PresenceEntry, PresenceError, PresenceHandler, PresenceList, PresenceMap, PresenceOptions,
};
pub use reply_ref::{NothingToReplyTo, ReplyRef};
pub use router::ChannelRouter;
pub use socket::{Refusal, Socket};
pub use state::GivenState;
pub use supervision::SHUTDOWN_TIMEOUT;
pub use timer::Timer;

pub use bennu_tracker as tracker;
pub use bennu_protocol as protocol;
pub use bennu_protocol::{IntoPayload, Payload, PayloadError, Status};
pub use bennu_pubsub as pubsub;
pub use bennu_token as token;
