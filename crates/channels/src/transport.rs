//! The interface of this crate for transports: a transport connects a client with a [`SocketMount`], opens the
//! [`Connection`], passes it frames, and drains its [`Outbox`].
//!
//! The WebSocket and the long-poll transport of `bennu` call it, and so does the test kit. An application needs none of
//! it.

pub use crate::broadcast::encoding::{Encoding, Framing};
pub use crate::connection::outbox::{Drainer, Outbox, Taken};
pub use crate::connection::{Connected, Connection, Limits};
pub use crate::endpoint::admission::Overloaded;
pub use crate::socket::mount::{NotConnected, SocketMount};
pub use crate::socket::params::MalformedQuery;
