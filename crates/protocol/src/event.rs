//! Reserved topics, events and reasons: the words of the protocol itself. Used by sessions and clients.

/// The topic of the connection itself: heartbeats go here.
pub const PHOENIX_TOPIC: &str = "phoenix";
/// Keeps a connection alive; answered with an empty ok reply.
pub const HEARTBEAT: &str = "heartbeat";
/// A client asks to join a topic.
pub const JOIN: &str = "phx_join";
/// A client asks to leave a topic.
pub const LEAVE: &str = "phx_leave";
/// The answer to one message of a client.
pub const REPLY: &str = "phx_reply";
/// A channel ended as it should.
pub const CLOSE: &str = "phx_close";
/// A channel crashed; clients rejoin.
pub const ERROR: &str = "phx_error";
/// Broadcast on a socket's id, it closes that socket.
pub const DISCONNECT: &str = "disconnect";

/// Reason of an error reply: no route, or no joined channel, has that topic.
pub const UNMATCHED_TOPIC: &str = "unmatched topic";
/// Reason of an error reply: user code failed while joining.
pub const JOIN_CRASHED: &str = "join crashed";
/// Reason of an error reply: the connection has as many channels as it may.
pub const TOO_MANY_CHANNELS: &str = "too many channels joined";
/// Reason of a [`ERROR`] event since Phoenix 1.8.10.
pub const CHANNEL_CRASH: &str = "channel_crash";
