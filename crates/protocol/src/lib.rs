//! The Phoenix channel protocol: messages and their wire formats, without transport, runtime or clock.
//!
//! A transport passes each received frame to [`Serializer::decode`], which returns an [`Inbound`] message that borrows
//! from the frame. [`Serializer::encode`] turns an [`Outbound`] message into the bytes of a frame. Clients use the
//! opposite pair, in [`client`].
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
//! Three invariants hold. The bytes of a peer never cause a panic. Every frame that is not a message is an error, and
//! the error describes the frame. JSON payloads pass through byte for byte.

mod binary;
pub mod client;
mod close;
pub mod event;
mod into_payload;
mod message;
mod pattern;
mod payload;
mod reference;
mod serializer;
mod v1;
mod v2;
mod version;

pub use close::Close;
pub use into_payload::IntoPayload;
pub use message::{Frame, FrameKind, Inbound, Name, Outbound, Status};
pub use pattern::{PatternError, TopicPattern};
pub use payload::{Payload, PayloadError};
pub use reference::Ref;
pub use serializer::{DecodeError, EncodeError, Serializer};
pub use version::VersionError;

/// The longest topic that can be joined, in bytes.
///
/// Phoenix has no limit. Bennu stores a topic once for each joined channel and once for each subscriber table, so the
/// length needs a bound. 1,024 is four times the longest topic of a V2 binary frame (255).
pub const MAX_TOPIC_BYTES: usize = 1024;

/// The longest `join_ref` and the longest `ref` of a join, in bytes.
///
/// Phoenix has no limit. Bennu stores both for as long as the channel is joined, so their length needs a bound. Clients
/// count their messages, and use a few digits.
pub const MAX_REF_BYTES: usize = 1024;
