//! A client of Phoenix Channels, for services, devices, tests and load.
//!
//! It speaks to Bennu and to Phoenix alike, and does what `phoenix.js` does: heartbeats, reconnects, rejoins, a buffer
//! for pushes while it is away, long poll where WebSocket does not get through. What it adds: jitter on every delay,
//! bounds on every queue, errors that say what happened, and a size that lets ten thousand of them live in a process.
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
//! # What happens when
//!
//! | | the client | the user sees |
//! |---|---|---|
//! | the connection is lost | connects by [`Schedule::RECONNECT`], then joins what was joined | [`Event::Interrupted`], [`Event::Joined`]; [`Client::states`] |
//! | the server refuses the connection | tries again, with params asked anew | [`ConnectError::Refused`] at first, [`ConnectionState::Waiting`] later |
//! | a channel crashes | joins by [`Schedule::REJOIN`] | [`Event::Interrupted`], [`Event::Joined`] |
//! | a join is refused | the first time, nothing; later, joins again | [`JoinError::Refused`], [`Event::Refused`] |
//! | the server closes a channel | forgets it | [`Event::Closed`], `None` from [`Channel::next`] |
//! | a push is waiting for its reply then | | [`PushError::ConnectionLost`], [`PushError::Crashed`], [`PushError::Closed`] |
//! | a push is made meanwhile | keeps it, up to a limit | it takes longer, or [`PushError::Timeout`], [`PushError::BufferFull`] |
//! | messages are not read | drops the oldest past a limit | [`Event::Lagged`] |
//! | the last handle is dropped | closes the connection with 1000 | |
//!
//! A server that closes with code 1000 is connected again like any other, as phoenix.js 1.8.16 does: proxies close so
//! too. [`Client::disconnect`] is how a client ends for good.
//!
//! # Features
//!
//! - `tls`: `wss://` and `https://` by rustls.

mod address;
mod builder;
mod channel;
mod client;
mod connect;
mod driver;
mod error;
mod http1;
mod long_poll;
mod message;
mod params;
pub mod presence;
mod random;
mod session;
mod settings;
mod shared;
mod state;
mod stream;
mod websocket;

pub use bennu_protocol::{EncodeError, IntoPayload, Payload, PayloadError, Status};
pub use builder::Builder;
pub use channel::{Channel, Opening, Push, Pusher};
pub use client::{Client, States};
pub use connect::Transport;
pub use error::{ConnectError, JoinError, Lost, PushError, ReplyError};
pub use message::{End, Event, Interruption, Message, Reply};
pub use params::{Answer, Params};
pub use session::Schedule;
pub use settings::QueueLimit;
pub use state::{Carrier, ConnectionState};

/// The listings of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/client.md")]
struct Guide;
