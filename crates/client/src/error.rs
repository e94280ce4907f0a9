//! What can go wrong, by operation: connecting, losing the connection, joining, pushing, reading a reply.

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
    /// The URL is none that can be connected to. The caller's fault: nothing is tried again.
    #[error("{url:?} is no URL of a socket: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The function that gives the params or the token failed. It is asked again at the next attempt.
    #[error("the connection's params are not to be had: {0}")]
    Params(#[source] Arc<dyn Error + Send + Sync>),
    /// The server answered and does not want this connection: what it says is here.
    #[error("the server refused the connection with status {status}{}", colon(.body))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The response's body, its first 1,024 bytes.
        body: String,
    },
    /// The server's address cannot be reached.
    #[error("cannot connect to {address}: {source}")]
    Io {
        /// Host and port.
        address: String,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// TLS failed: a certificate that is not trusted, for instance.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// What rustls says.
        source: Arc<io::Error>,
    },
    /// What the server answers is no handshake of this transport.
    #[error("the server does not speak this transport: {0}")]
    Handshake(String),
    /// The attempt took too long.
    #[error("no connection within {after:?}")]
    Timeout {
        /// The limit: [`Builder::connect_timeout`](crate::Builder::connect_timeout), or the fallback's.
        after: Duration,
    },
    /// The client was disconnected meanwhile.
    #[error("the client was disconnected before it was connected")]
    Disconnected,
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Why there is no connection any more, or not yet.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The attempt to connect failed.
    #[error(transparent)]
    Attempt(#[from] ConnectError),
    /// The server closed the connection.
    #[error("the server closed the connection{}{}", with_code(*.code), colon(.reason))]
    Closed {
        /// The close code; none where TCP just ended.
        code: Option<u16>,
        /// The text that came with it.
        reason: String,
    },
    /// A heartbeat was not answered before the next was due.
    #[error("no answer to a heartbeat within {after:?}")]
    Silent {
        /// The heartbeat's interval.
        after: Duration,
    },
    /// The network, or the server's machine.
    #[error("the connection broke: {0}")]
    Io(Arc<io::Error>),
    /// The server broke the transport's protocol, or a limit of this client.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// Long poll: the server does not know the session any more.
    #[error("the server has given up the long-poll session")]
    SessionGone,
    /// The client closed it: [`Client::disconnect`](crate::Client::disconnect).
    #[error("the client disconnected")]
    Disconnected,
}

impl Lost {
    /// Whether the server wants no further attempt: it closed the connection with code 1000 and a reason, as a Bennu
    /// server does with a client that it refuses for good. The client then stays closed.
    ///
    /// Code 1000 without a reason is no such word: some servers close idle connections with it.
    pub fn is_final(&self) -> bool {
        matches!(self, Lost::Closed { code: Some(1000), reason } if !reason.is_empty())
    }
}

/// Why a channel was not joined.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The server refused, and says why.
    #[error("the server refused to join {topic:?}: {response:?}")]
    Refused {
        /// The topic.
        topic: String,
        /// The response: often `{"reason": ...}`.
        response: Payload,
    },
    /// No answer came in time.
    #[error("no answer to joining {topic:?} within {after:?}")]
    Timeout {
        /// The topic.
        topic: String,
        /// [`Builder::join_timeout`](crate::Builder::join_timeout).
        after: Duration,
    },
    /// The channel ended while it was being joined: closed by the server, replaced, or the client was disconnected.
    #[error("the channel {topic:?} ended while it was being joined")]
    Closed {
        /// The topic.
        topic: String,
    },
    /// The params cannot be written.
    #[error("the params for joining {topic:?} cannot be sent: {source}")]
    Unsendable {
        /// The topic.
        topic: String,
        /// Why.
        source: EncodeError,
    },
}

/// Why a push was not sent, or not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// No reply came in time. Whether the server has handled the push is not known; one that was still in the buffer is
    /// not sent any more.
    #[error("no reply to {event:?} within {after:?}")]
    Timeout {
        /// The event.
        event: String,
        /// [`Push::timeout`](crate::Push::timeout), or the client's.
        after: Duration,
    },
    /// As many pushes wait to be sent as may: [`QueueLimit`](crate::QueueLimit). Nothing was sent.
    #[error("{messages} pushes with {bytes} bytes wait to be sent, the limits are {max_messages} and {max_bytes}")]
    BufferFull {
        /// Pushes that wait.
        messages: usize,
        /// Their size, in bytes.
        bytes: usize,
        /// The limit of pushes.
        max_messages: usize,
        /// The limit of bytes.
        max_bytes: usize,
    },
    /// The connection was lost before the reply came. Whether the server has handled the push is not known.
    #[error("the connection was lost before {event:?} was answered")]
    ConnectionLost {
        /// The event.
        event: String,
    },
    /// The channel crashed in the server before it replied, maybe over this very push.
    #[error("the channel crashed before {event:?} was answered")]
    Crashed {
        /// The event.
        event: String,
    },
    /// The channel has ended: it was left, closed, replaced, or its client disconnected.
    #[error("the channel {topic:?} has ended")]
    Closed {
        /// The topic.
        topic: String,
    },
    /// The message cannot be written.
    #[error(transparent)]
    Unsendable(#[from] EncodeError),
}

/// Why a reply is not what was hoped for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The status is not `ok`.
    #[error("the reply has status {:?}: {payload:?}", .status.as_str())]
    Status {
        /// The status.
        status: Status,
        /// The response.
        payload: Payload,
    },
    /// The response has another shape.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

fn colon(text: &str) -> String {
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
    fn a_close_shows_what_is_known_of_it() {
        let lost = |code, reason: &str| Lost::Closed { code, reason: reason.to_owned() }.to_string();
        assert_eq!(lost(Some(1012), "bye"), "the server closed the connection with code 1012: bye");
        assert_eq!(lost(None, ""), "the server closed the connection");
    }

    #[test]
    fn a_full_buffer_names_values_and_limits() {
        let error = PushError::BufferFull { messages: 3, bytes: 70, max_messages: 3, max_bytes: 100 };
        assert_eq!(error.to_string(), "3 pushes with 70 bytes wait to be sent, the limits are 3 and 100");
    }
}
