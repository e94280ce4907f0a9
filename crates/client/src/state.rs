//! The state of a client's connection, as users see it: [`Client::state`](crate::Client::state) and
//! [`Client::states`](crate::Client::states).

use crate::ConnectionError;
use std::sync::Arc;
use std::time::Duration;

/// The state of a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionState {
    /// An attempt to connect is in progress.
    Connecting,
    /// The connection is open.
    Connected {
        /// The transport.
        over: TransportKind,
        /// The number of connections so far, this one included.
        count: u64,
    },
    /// There is no connection, and an attempt follows.
    Waiting {
        /// The time from the loss of the connection, or from the failed attempt, to the next attempt.
        retry_in: Duration,
        /// Why the connection was lost, or why the attempt failed.
        cause: Arc<ConnectionError>,
    },
    /// The client was disconnected, or the server refused it for good ([`ConnectionError::is_final`]). This state is
    /// final.
    Closed,
}

impl ConnectionState {
    /// Returns whether the connection is open.
    pub fn is_connected(&self) -> bool {
        matches!(self, ConnectionState::Connected { .. })
    }
}

/// The transport of an open connection; [`Transport`](crate::Transport) configures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// A WebSocket.
    WebSocket,
    /// HTTP requests that wait for messages.
    LongPoll,
}
