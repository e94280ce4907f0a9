//! Phoenix Channels for Rust: sockets, channels, topics and broadcasts, mounted into an axum router.
//!
//! Every Phoenix client works against it unchanged: it speaks the same protocol on the wire.
//!
//! ```no_run
//! use bennu::prelude::*;
//!
//! struct PingChannel;
//!
//! impl<S: Socket> Channel<S> for PingChannel {
//!     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
//!         accept(PingChannel)
//!     }
//!
//!     async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
//!         match event {
//!             "ping" => reply_ok(json!({ "ping": "pong" })),
//!             _ => unhandled(event),
//!         }
//!     }
//! }
//!
//! struct UserSocket;
//!
//! impl Socket for UserSocket {
//!     type State = ();
//!
//!     async fn connect(_request: Connect) -> Result<Self, Refusal> {
//!         Ok(UserSocket)
//!     }
//!
//!     fn channels(router: &mut ChannelRouter<Self>) {
//!         router.channel::<PingChannel>("ping").channel::<PingChannel>("ping:*");
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let endpoint = Endpoint::new(Secret::from_env("SECRET_KEY_BASE")?);
//!     let app = axum::Router::new().merge(bennu::socket::<UserSocket>("/socket").router(&endpoint)?);
//!     let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
//!     bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
//!     Ok(())
//! }
//! ```

mod longpoll;
mod mount;
mod router;
mod serve;
mod websocket;

pub use mount::{CSRF_PARAM, CheckOrigin, LongPoll, Mount, SessionCookie, SessionMap, socket};
pub use serve::{Serve, bind, serve, shutdown_signal};

pub use bennu_channels::{
    Accepted, Broadcast, Channel, ChannelRef, ChannelRouter, Connect, ConnectInfo, Context, Crash, Drain, Drained,
    Endpoint, EndpointBuilder, Exit, Flow, GivenState, HandleInfo, Handled, InfoFor, IntoCrash, IntoPayload, Joined,
    OrReply, Outcome, Params, Payload, Refusal, Reply, ReplyRef, SHUTDOWN_TIMEOUT, Socket, Status, Step, StopReason,
    Terminate, Timer, accept, accept_with, crash, noreply, refuse, reply, reply_error, reply_ok, stop, stop_with,
    unhandled,
};
pub use bennu_channels::{prelude, protocol, pubsub, token, tracker};

/// The errors of this crate. Those that `main` may return print their text with `Debug` too.
pub mod error {
    pub use crate::mount::origin::OriginError;
    pub use crate::router::MountError;
    pub use crate::serve::bind::BindError;
    pub use bennu_channels::{
        BroadcastError, ChannelGone, MissingExtension, MissingParam, NothingToReplyTo, PayloadError, PresenceError,
        PushError, TopicPartError,
    };
}

/// The presences at each topic, on all nodes: see [`Presence`](presence::Presence).
pub mod presence {
    pub use bennu_channels::{
        Presence, PresenceDiff, PresenceEntry, PresenceHandler, PresenceList, PresenceMap, PresenceOptions,
    };
}

/// The listings of the guides compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/presence.md")]
struct PresenceGuide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/telemetry.md")]
struct TelemetryPage;
