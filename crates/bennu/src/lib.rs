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

mod bind;
mod half_open;
mod longpoll;
mod mount;
mod mounted;
mod options;
mod origin;
mod serve;
mod session_cookie;
#[cfg(feature = "tls")]
mod tls;
mod websocket;

pub use bind::{BindError, bind};
pub use longpoll::LongPoll;
pub use mount::{Mount, MountError, socket};
pub use origin::{CheckOrigin, OriginError};
pub use serve::{Serve, serve, shutdown_signal};
pub use session_cookie::{CSRF_PARAM, SessionCookie, SessionMap};

pub use bennu_channels::*;

/// The listings of the guides compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/presence.md")]
struct PresenceGuide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/telemetry.md")]
struct TelemetryPage;
