//! What one can choose about a client, apart from where it connects to. Filled by the builder, read by the session and
//! the transports.

use crate::Schedule;
use std::time::Duration;

/// How much may wait in a queue: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// How many messages.
    pub messages: usize,
    /// How many bytes; a message counts its event, its payload and 128 bytes.
    pub bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) heartbeat: Duration,
    pub(crate) push_timeout: Duration,
    pub(crate) join_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) reconnect: Schedule,
    pub(crate) rejoin: Schedule,
    pub(crate) jitter: f32,
    /// Pushes of all channels of a client that wait to be sent.
    pub(crate) push_buffer: QueueLimit,
    /// Events of one channel that wait to be read.
    pub(crate) event_queue: QueueLimit,
    pub(crate) max_message_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
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
