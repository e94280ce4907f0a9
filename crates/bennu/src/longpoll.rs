//! The long-poll transport, for clients whose network lets no WebSocket through.
//!
//! A client opens a session with a GET, then always has one GET waiting for messages, and sends its own messages with
//! POSTs. Between requests the session has no TCP connection. [`crate::router`] routes the requests of a mount to
//! [`Service`]. Parts, in the order of the flow:
//!
//! - [`service`]: the HTTP interface: opens, polls and posts, and the checks before each.
//! - [`response`]: the HTTP responses, and the headers that let pages of other sites read them.
//! - [`session_token`]: the token that names a session and the last batch that its client received.
//! - [`relay`]: requests for sessions of other nodes, over PubSub.
//! - [`session_table`]: all sessions of this node; [`quota`]: the limits on their number.
//! - [`session`]: one client's session: its polls, its posts and its end.
//! - [`batch`]: the messages of a response, and the messages in the body of a POST.
//!
//! Invariant: messages are delivered in order and at most once. If a response is lost, the client polls with its
//! previous token and receives the same response again, unless it was the response to its first token; real Phoenix
//! loses each. Source: `Phoenix.Transports.LongPoll` 1.8.

pub(crate) mod batch;
pub(crate) mod quota;
pub(crate) mod relay;
pub(crate) mod response;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod session_table;
pub(crate) mod session_token;

pub(crate) use service::Service;
