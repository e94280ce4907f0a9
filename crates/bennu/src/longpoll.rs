//! The long-poll transport: for clients whose way to the server lets no WebSocket through.
//!
//! A client opens a session with a GET, then always has one GET waiting for messages, and sends its own with POSTs. In
//! between, the session lives here without a TCP connection:
//!
//! - [`options`]: [`LongPoll`], what a mount may set.
//! - [`service`]: the HTTP face: which request is what, and who may.
//! - [`answer`]: the responses, and the headers that let other sites' pages read them.
//! - [`ticket`]: the token that names a session and how far its client has read.
//! - [`session`]: one client's session: what it polls, what it posts, and when it ends.
//! - [`batch`]: messages on their way: those that wait, as one response takes them, and a POST's body read into messages.
//! - [`sessions`]: all sessions of this node; [`places`]: how many there may be.
//! - [`relay`]: the way to a session that lives on another node, over PubSub.
//!
//! Messages are delivered in order and once. A response that is lost on its way is said again when the client polls
//! with the token it had before; real Phoenix loses it.
//!
//! Called by the router that [`crate::mount`] makes. Source: `Phoenix.Transports.LongPoll` 1.8.

pub(crate) mod answer;
pub(crate) mod batch;
pub(crate) mod options;
pub(crate) mod places;
pub(crate) mod relay;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod ticket;

pub use options::LongPoll;
pub(crate) use service::Service;
