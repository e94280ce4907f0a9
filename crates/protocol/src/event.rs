//! The reserved words of the protocol: topics, events, and the reasons of error replies.
//!
//! The sessions of the server and the clients use the same constants. All values are those of Phoenix.

/// The topic of the connection itself. Heartbeats are sent to it.
pub const PHOENIX_TOPIC: &str = "phoenix";
/// The event that keeps a connection alive. The server replies `ok` with an empty payload.
pub const HEARTBEAT: &str = "heartbeat";
/// The event by which a client joins a topic.
pub const JOIN: &str = "phx_join";
/// The event by which a client leaves a topic.
pub const LEAVE: &str = "phx_leave";
/// The event of the reply to one message of a client.
pub const REPLY: &str = "phx_reply";
/// The event of a channel that ended normally.
pub const CLOSE: &str = "phx_close";
/// The event of a channel that crashed. Clients rejoin after it.
pub const ERROR: &str = "phx_error";
/// The event that closes the connections of a socket when it is broadcast on the socket's id.
pub const DISCONNECT: &str = "disconnect";

/// Reason of an error reply: the topic matches no route, or no channel is joined on it.
pub const UNMATCHED_TOPIC: &str = "unmatched topic";
/// Reason of an error reply: the application failed during the join.
pub const JOIN_CRASHED: &str = "join crashed";
/// Reason of an error reply: the connection has reached its maximum of channels.
pub const TOO_MANY_CHANNELS: &str = "too many channels joined";
/// Reason in the payload of an [`ERROR`] event, since Phoenix 1.8.10.
pub const CHANNEL_CRASH: &str = "channel_crash";
