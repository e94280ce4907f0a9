//! The settings of a client: transport, timeouts, schedules and limits.
//!
//! The builder fills them; the session and the transports read them.

use crate::Schedule;
use std::time::Duration;

/// The transport that a client connects with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// WebSocket only; the default, as in phoenix.js.
    #[default]
    WebSocket,
    /// Long poll only.
    LongPoll,
    /// WebSocket, and long poll where WebSocket does not work.
    ///
    /// The client falls back to long poll when the handshake fails, unless the server's socket itself has refused the
    /// connection, or when the handshake or the reply to a first heartbeat takes longer than `after`.
    ///
    /// After a WebSocket has worked once, the client never falls back: a restart of the server is no reason. After long
    /// poll has taken over once, the client stays with it for its lifetime.
    Fallback {
        /// The time limit of the handshake, and that of the first heartbeat.
        after: Duration,
    },
}

impl Transport {
    /// Returns [`Transport::Fallback`] after 2.5 s, the default of Phoenix.
    pub const fn fallback() -> Self {
        Transport::Fallback { after: Duration::from_millis(2500) }
    }
}

/// The limit of a queue. It is reached with the first of the two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// The largest number of messages.
    pub messages: usize,
    /// The largest number of bytes. A message counts its event, its payload and 128 bytes.
    pub bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) transport: Transport,
    pub(crate) heartbeat: Duration,
    pub(crate) push_timeout: Duration,
    pub(crate) join_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) reconnect: Schedule,
    pub(crate) rejoin: Schedule,
    pub(crate) jitter: f32,
    /// Unsent pushes of all channels of a client.
    pub(crate) push_buffer: QueueLimit,
    /// Unread events of one channel.
    pub(crate) event_queue: QueueLimit,
    pub(crate) max_message_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            transport: Transport::default(),
            heartbeat: Duration::from_secs(30),
            push_timeout: Duration::from_secs(10),
            join_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            reconnect: Schedule::RECONNECT,
            rejoin: Schedule::REJOIN,
            jitter: 0.5,
            push_buffer: QueueLimit { messages: 1000, bytes: 1024 * 1024 },
            event_queue: QueueLimit { messages: 1000, bytes: 4 * 1024 * 1024 },
            max_message_size: 16 * 1024 * 1024,
        }
    }
}
