//! The Phoenix channel protocol, apart from any transport, runtime or clock.
//!
//! A transport hands a frame to [`Serializer::decode`], gets an [`Inbound`] message that borrows from the frame, and
//! writes what [`Serializer::encode`] makes of an [`Outbound`] one:
//!
//! ```
//! use bennu_protocol::{Frame, Outbound, Payload, Ref, Serializer, Status};
//!
//! let inbound = Serializer::V2.decode(Frame::Text(r#"["1","2","room","ping",{}]"#))?;
//! assert_eq!(inbound.topic.as_str(), Some("room"));
//!
//! let mut frame = Vec::new();
//! let reply = Outbound::Reply {
//!     join_ref: &Ref::text("1"),
//!     reference: &inbound.reference,
//!     topic: &inbound.topic,
//!     status: &Status::Ok,
//!     payload: &Payload::empty(),
//! };
//! Serializer::V2.encode(&reply, &mut frame)?;
//! assert_eq!(frame, br#"["1","2","room","phx_reply",{"response":{},"status":"ok"}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants: a peer's bytes never panic; everything that is not understood is an error that says what it was; JSON
//! payloads pass through byte for byte.

mod binary;
pub mod client;
mod close;
pub mod event;
mod into_payload;
mod json;
mod message;
mod name;
mod pattern;
mod payload;
mod reference;
mod serializer;
mod v1;
mod v2;
mod version;

pub use close::Close;
pub use into_payload::IntoPayload;
pub use message::{Frame, FrameKind, Inbound, Outbound, Status};
pub use name::Name;
pub use pattern::{PatternError, TopicPattern};
pub use payload::{Payload, PayloadError};
pub use reference::Ref;
pub use serializer::{DecodeError, EncodeError, Serializer};
pub use version::{VersionError, negotiate};

/// Longest topic that may be joined, in bytes.
///
/// Phoenix has no limit. A topic is kept once a joined channel and once a subscriber table, so it must have one; 1,024
/// is four times what a V2 binary frame can carry (255).
pub const MAX_TOPIC_BYTES: usize = 1024;

/// Longest `join_ref` and `ref` that a join may have, in bytes.
///
/// Phoenix has no limit. They are kept for as long as the channel is joined, so there must be one; clients count, and use
/// a handful of digits.
pub const MAX_REF_BYTES: usize = 1024;
