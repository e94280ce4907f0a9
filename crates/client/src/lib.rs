//! A client of Phoenix Channels, for services, devices, tests and load generators.
//!
//! It connects to Bennu and to Phoenix, and has the features of `phoenix.js`: heartbeats, reconnects, rejoins, a buffer
//! for pushes without a connection, and a fallback to long poll. In addition it has jitter on every delay, a limit on
//! every queue and precise errors, and is so small that ten thousand clients run in one process.
//!
//! ```no_run
//! use bennu_client::Client;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! #[derive(Deserialize)]
//! struct Pong {
//!     ping: String,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("ws://localhost:4000/socket").param("device", "7").connect().await?;
//! let mut room = client.join("ping", json!({})).await?;
//!
//! let pong: Pong = room.push("ping", json!({ "ack_phrase": "hooray" })).await?.parse()?;
//! println!("{}", pong.ping);
//!
//! while let Some(message) = room.next().await {
//!     println!("{}: {:?}", message.event, message.payload);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Failures and their handling
//!
//! | Situation | The client | The user sees |
//! |---|---|---|
//! | the connection is lost | reconnects by [`Schedule::RECONNECT`], then rejoins its channels | [`ChannelEvent::Interrupted`], [`ChannelEvent::Joined`]; [`Client::states`] |
//! | the server refuses the connection | retries, with params from a new call of their function | [`ConnectError::Refused`] from the first attempt, [`ConnectionState::Waiting`] later |
//! | a channel crashes | rejoins by [`Schedule::REJOIN`] | [`ChannelEvent::Interrupted`], [`ChannelEvent::Joined`] |
//! | a join is refused | does not retry the first join of [`Client::join`]; rejoins otherwise | [`JoinError::Refused`], [`ChannelEvent::Refused`] |
//! | the server closes a channel | removes it | [`ChannelEvent::Closed`], `None` from [`ClientChannel::next`] |
//! | a push has no reply at that moment | fails the push | [`SendError::ConnectionLost`], [`SendError::Crashed`], [`SendError::Closed`] |
//! | a push is made without a joined channel | buffers it, up to a limit | a later reply, or [`SendError::Timeout`], [`SendError::BufferFull`] |
//! | messages are not read | drops the oldest past a limit | [`ChannelEvent::Lagged`] |
//! | the last handle is dropped | closes the connection with 1000 | |
//!
//! The client reconnects after a close with code 1000 and no reason too, as phoenix.js 1.8.16 does, because some
//! proxies close connections in this way. [`ConnectionError::is_final`] describes the close after which it does not.
//! [`Client::disconnect`] ends a client for good.
//!
//! # Features
//!
//! - `tls`: `wss://` and `https://` by rustls.

// The handles of the user.
mod builder;
mod channel;
mod client;
pub mod presence;
mod push;

// Their data.
mod error;
mod message;
mod params;
mod schedule;
mod settings;
mod state;

// The connection: the pure session, the lock that the handles and the driver share, the driver's task, the transports.
mod driver;
mod random;
mod session;
mod shared;
mod transport;

pub use bennu_protocol::{EncodeError, IntoPayload, Payload, PayloadError, Status};
pub use builder::ClientBuilder;
pub use channel::{ChannelBuilder, ClientChannel};
pub use client::{Client, States};
pub use error::{ConnectError, ConnectionError, JoinError, ReplyError, SendError};
pub use message::{ChannelEvent, ChannelMessage, CloseReason, Interruption, PushReply};
pub use params::{ConnectParams, ProviderOutput};
pub use push::{ChannelSender, Push};
pub use schedule::Schedule;
pub use settings::{QueueLimit, Transport};
pub use state::{ConnectionState, TransportKind};

/// Compiles the listings of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/client.md")]
struct Guide;
