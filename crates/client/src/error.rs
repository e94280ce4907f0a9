//! The errors, by operation: connecting, keeping the connection, joining, pushing, reading a reply.

use crate::{Payload, PayloadError, Status};
use bennu_protocol::EncodeError;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why an attempt to connect failed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not that of a socket. This is the caller's fault, and the client makes no attempt.
    #[error("{url:?} is not the URL of a socket: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// The reason.
        reason: &'static str,
    },
    /// A header of [`ClientBuilder::header`](crate::ClientBuilder::header) cannot be sent. This is the caller's fault, and
    /// the client makes no attempt.
    #[error("could not send the header {name:?}: {reason}")]
    Header {
        /// The name.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// The function that provides the params or the token failed. The next attempt calls it again.
    #[error("could not obtain the connection parameters: {0}")]
    Params(#[source] Arc<dyn Error + Send + Sync>),
    /// The server refused this connection.
    #[error("the server refused the connection with status {status}{}", suffix(.body))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first 1,024 bytes of the response's body.
        body: String,
    },
    /// The client could not reach the server's address.
    #[error("could not connect to {address}: {source}")]
    Io {
        /// Host and port.
        address: String,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// TLS failed: for example, the server's certificate is not trusted.
    #[error("could not establish TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// The error of rustls.
        source: Arc<io::Error>,
    },
    /// The server's response is not a handshake of this transport, or the client could not write its own.
    #[error("could not complete the handshake: {0}")]
    Handshake(String),
    /// The attempt took longer than its limit.
    #[error("could not connect within {after:?}")]
    Timeout {
        /// The limit: [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout), or that of
        /// [`Transport::Fallback`](crate::Transport::Fallback).
        after: Duration,
    },
    /// The client was disconnected before it had connected.
    #[error("could not connect: the client was disconnected")]
    Disconnected,
}

/// Formats as [`Display`](std::fmt::Display), because `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Why a connection ended, or why there is none yet.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The attempt to connect failed.
    #[error(transparent)]
    Attempt(#[from] ConnectError),
    /// The server closed the connection.
    #[error("the server closed the connection{}{}", with_code(*.code), suffix(.reason))]
    Closed {
        /// The close code; `None` when TCP ended without a close frame.
        code: Option<u16>,
        /// The reason in the close frame.
        reason: String,
    },
    /// The server did not reply to a heartbeat before the next one was due, or to a long-poll request within 20 s.
    #[error("the server did not respond within {after:?}")]
    Timeout {
        /// The limit: the heartbeat's interval, or that of a long-poll request.
        after: Duration,
    },
    /// The network or the server's machine failed.
    #[error("the connection failed: {0}")]
    Io(Arc<io::Error>),
    /// The server violated the transport's protocol, or a limit of this client.
    #[error("the server violated the protocol: {0}")]
    Protocol(String),
    /// The server no longer has the long-poll session: for example, the session has expired.
    #[error("the server no longer has the long-poll session")]
    SessionGone,
    /// The client closed the connection: [`Client::disconnect`](crate::Client::disconnect).
    #[error("the client disconnected")]
    Disconnected,
}

impl ConnectionError {
    /// Returns whether the server allows no further attempt: it closed the connection with code 1000 and a reason, as a
    /// Bennu server does with a client that it refuses for good. The client then stays closed.
    ///
    /// Code 1000 without a reason is not final: some servers close idle connections with it.
    pub fn is_final(&self) -> bool {
        matches!(self, ConnectionError::Closed { code: Some(1000), reason } if !reason.is_empty())
    }
}

/// Why a channel was not joined.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The server refused the join.
    #[error("could not join {topic:?}: the server refused with {response:?}")]
    Refused {
        /// The topic.
        topic: String,
        /// The response: often `{"reason": ...}`.
        response: Payload,
    },
    /// The server did not reply in time.
    #[error("could not join {topic:?} within {after:?}")]
    Timeout {
        /// The topic.
        topic: String,
        /// [`ClientBuilder::join_timeout`](crate::ClientBuilder::join_timeout).
        after: Duration,
    },
    /// The channel ended during its join: closed by the server, replaced, or the client was disconnected.
    #[error("could not join {topic:?}: the channel was closed during its join")]
    Closed {
        /// The topic.
        topic: String,
    },
    /// The wire cannot carry the join's params.
    #[error("could not encode the join of {topic:?}: {source}")]
    Encode {
        /// The topic.
        topic: String,
        /// The encoder's error.
        source: EncodeError,
    },
}

/// Why a push was not sent, or has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No reply arrived in time. It is unknown whether the server has handled the push. A push that was still in the
    /// buffer is not sent any more.
    #[error("could not get a reply to {event:?} within {after:?}")]
    Timeout {
        /// The event.
        event: String,
        /// The limit: [`Push::timeout`](crate::Push::timeout), or that of the client.
        after: Duration,
    },
    /// The client's buffer has reached its [`QueueLimit`](crate::QueueLimit). The push was not sent.
    #[error(
        "could not queue the push: {messages} pushes with {bytes} bytes wait to be sent, the limits of `push_buffer` \
         are {max_messages} pushes and {max_bytes} bytes"
    )]
    BufferFull {
        /// Pushes in the buffer.
        messages: usize,
        /// Their size, in bytes.
        bytes: usize,
        /// The limit of pushes.
        max_messages: usize,
        /// The limit of bytes.
        max_bytes: usize,
    },
    /// The connection was lost before the reply arrived. It is unknown whether the server has handled the push.
    #[error("could not get a reply to {event:?}: the connection was lost")]
    ConnectionLost {
        /// The event.
        event: String,
    },
    /// The channel crashed in the server before it replied, possibly because of this push.
    #[error("could not get a reply to {event:?}: the channel crashed")]
    Crashed {
        /// The event.
        event: String,
    },
    /// The channel has ended: it was left, closed or replaced, or its client was disconnected.
    #[error("could not push to {topic:?}: the channel is closed")]
    Closed {
        /// The topic.
        topic: String,
    },
    /// The wire cannot carry the message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why a reply does not have the expected content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The status is not `ok`.
    #[error("the status of the reply is {:?}, not \"ok\": {payload:?}", .status.as_str())]
    Status {
        /// The status.
        status: Status,
        /// The response.
        payload: Payload,
    },
    /// The response is not of the requested type.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

fn suffix(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn with_code(code: Option<u16>) -> String {
    code.map_or_else(String::new, |code| format!(" with code {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_shows_status_and_body() {
        let error = |body: &str| ConnectError::Refused { status: 429, body: body.to_owned() }.to_string();
        assert_eq!(error("Too many"), "the server refused the connection with status 429: Too many");
        assert_eq!(error(""), "the server refused the connection with status 429");
    }

    #[test]
    fn a_close_shows_its_code_and_reason_if_there_are_any() {
        let error = |code, reason: &str| ConnectionError::Closed { code, reason: reason.to_owned() }.to_string();
        assert_eq!(error(Some(1012), "bye"), "the server closed the connection with code 1012: bye");
        assert_eq!(error(None, ""), "the server closed the connection");
    }

    #[test]
    fn a_full_buffer_shows_values_and_limits() {
        let error = SendError::BufferFull { messages: 3, bytes: 70, max_messages: 3, max_bytes: 100 };
        let text = error.to_string();
        assert!(text.contains("3 pushes with 70 bytes wait"), "{text}");
        assert!(text.ends_with("the limits of `push_buffer` are 3 pushes and 100 bytes"), "{text}");
    }
}
