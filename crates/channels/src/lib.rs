//! Sockets and channels: the real-time layer, apart from HTTP.
//!
//! The flow: a transport connects a client with a [`SocketMount`](transport::SocketMount), opens a
//! [`Connection`](transport::Connection), and passes it frames. The session routes them by topic. Each joined topic is
//! an actor that runs a [`Channel`]. PubSub carries broadcasts. All frames for the client go through the connection's
//! [`Outbox`](transport::Outbox), which the transport drains.
//!
//! ```text
//! in:   transport ─► connection (session) ─► handle (mailbox) ─► actor (Channel)
//! out:  actor, pubsub ─► handle (fastlane) ─► outbox ─► transport
//! ```
//!
//! Users meet this crate through `bennu`, which adds the HTTP edge.

mod actor;
mod broadcast;
mod channel;
mod connection;
mod endpoint;
mod outcome;
pub mod prelude;
mod presence;
mod socket;
mod telemetry;
#[cfg(feature = "testkit")]
mod testkit;
pub mod transport;

pub use actor::supervision::SHUTDOWN_TIMEOUT;
pub use broadcast::{Broadcast, BroadcastError};
pub use channel::context::{Context, PushError};
pub use channel::info::{ChannelGone, ChannelRef, InfoFor};
pub use channel::reply_ref::{NothingToReplyTo, ReplyRef};
pub use channel::timer::Timer;
pub use channel::{Channel, HandleInfo, Terminate};
pub use endpoint::drain::{Drain, Drained};
pub use endpoint::{Endpoint, EndpointBuilder};
pub use outcome::exit::{Crash, Exit, IntoCrash, OrReply, TopicPartError, crash, refuse};
pub use outcome::{
    Accepted, Flow, Handled, Joined, Outcome, Reply, Step, StopReason, accept, accept_with, noreply, reply,
    reply_error, reply_ok, stop, stop_with, unhandled,
};
pub use presence::{
    Presence, PresenceDiff, PresenceEntry, PresenceError, PresenceHandler, PresenceList, PresenceMap, PresenceOptions,
};
pub use socket::connect::{Connect, ConnectInfo, MissingExtension};
pub use socket::mount::GivenState;
pub use socket::params::{MissingParam, Params};
pub use socket::router::ChannelRouter;
pub use socket::{Refusal, Socket};

pub use bennu_protocol as protocol;
pub use bennu_protocol::{IntoPayload, Payload, PayloadError, Status};
pub use bennu_pubsub as pubsub;
pub use bennu_token as token;
pub use bennu_tracker as tracker;
