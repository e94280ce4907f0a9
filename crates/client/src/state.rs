//! How a client's connection is doing, to be looked at or waited for.

use crate::Lost;
use std::sync::Arc;
use std::time::Duration;

/// How the connection is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionState {
    /// An attempt is under way.
    Connecting,
    /// Messages flow.
    Connected {
        /// Over which transport.
        over: Carrier,
        /// How many connections there have been, this one included.
        count: u64,
    },
    /// There is no connection; the next attempt follows.
    Waiting {
        /// After this time.
        retry_in: Duration,
        /// Why there is none.
        cause: Arc<Lost>,
    },
    /// The client was disconnected, or the server refused it for good (see [`Lost::is_final`]): it does nothing any more.
    Closed,
}

impl ConnectionState {
    /// Whether messages flow.
    pub fn is_connected(&self) -> bool {
        matches!(self, ConnectionState::Connected { .. })
    }
}

/// What carries the messages of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A WebSocket.
    WebSocket,
    /// HTTP requests that wait for their answer.
    LongPoll,
}
