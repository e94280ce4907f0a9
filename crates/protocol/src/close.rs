//! Why the server ends a connection, and the close code that says so. Chosen by sessions, written by transports.

use std::time::Duration;

/// Longest reason that a close frame can carry, in bytes (RFC 6455 §5.5); a longer one is cut.
const MAX_REASON_BYTES: usize = 123;

/// Why the server closes a connection.
///
/// Every code but 1000 makes `phoenix.js` connect again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The socket refused the client for good, with this reason: 1000, after which `phoenix.js` does not connect again.
    Refused(String),
    /// `disconnect` was broadcast on the socket's id: 1001.
    Disconnected,
    /// The client sent what is no message of the negotiated version, or the session failed: 1011, as Phoenix does.
    BadMessage,
    /// The server drains: 1012, reconnect elsewhere.
    Restart,
    /// Nothing was received for this long: 3008, the registered code for a timeout.
    IdleTimeout(Duration),
    /// The client closes, with this code if it gave one: it is echoed (RFC 6455 §5.5.1).
    Peer(Option<u16>),
    /// The client broke the transport's protocol: the transport's own code, such as 1002, 1007 or 1009.
    Transport {
        /// The code.
        code: u16,
    },
    /// The client does not read what it is sent: 1008.
    TooSlow {
        /// Bytes that waited.
        waiting: usize,
        /// Bytes that may wait.
        limit: usize,
    },
}

impl Close {
    /// The WebSocket close code (RFC 6455 §7.4, and the IANA registry for 1012 and 3008).
    ///
    /// `None` where the client closed without one.
    pub fn code(&self) -> Option<u16> {
        Some(match self {
            Close::Refused(_) => 1000,
            Close::Disconnected => 1001,
            Close::BadMessage => 1011,
            Close::Restart => 1012,
            Close::IdleTimeout(_) => 3008,
            Close::TooSlow { .. } => 1008,
            Close::Transport { code } => *code,
            Close::Peer(code) => return *code,
        })
    }

    /// The text of the close frame; empty where Phoenix sends none.
    pub fn reason(&self) -> String {
        match self {
            Close::Refused(reason) => reason[..reason.floor_char_boundary(MAX_REASON_BYTES)].to_owned(),
            Close::IdleTimeout(limit) => format!("nothing received for {} s", limit.as_secs_f32()),
            Close::TooSlow { waiting, limit } => format!("{waiting} bytes unread, the limit is {limit}"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_refusal_is_a_normal_close_whose_reason_fits_its_frame() {
        let refused = Close::Refused("banned".to_owned());
        assert_eq!((refused.code(), refused.reason().as_str()), (Some(1000), "banned"));
        let long = Close::Refused("é".repeat(100)).reason();
        assert_eq!(long, "é".repeat(61), "cut between two characters");
    }
}
