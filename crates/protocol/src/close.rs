//! The end of a connection: its cause, with the close code and the reason text of the close frame.
//!
//! The connection chooses the cause, and the transport writes the code and the text.

use std::time::Duration;

/// The longest reason that a close frame can carry, in bytes (RFC 6455 §5.5). A longer one is cut.
const MAX_REASON_BYTES: usize = 123;

/// The cause for which the server closes a connection.
///
/// `phoenix.js` up to 1.8.15 reconnects after every code but 1000, later versions after every code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The socket refused the client permanently, with this reason: 1000.
    Refused(String),
    /// `disconnect` was broadcast on the socket's id: 1001.
    Disconnected,
    /// The client sent a frame that is not a message of the negotiated version, or the session failed: 1011, as in
    /// Phoenix.
    BadMessage,
    /// The server drains: 1012. The client reconnects to another server.
    Restart,
    /// The server received nothing for this long: 3008, the registered code for a timeout.
    IdleTimeout(Duration),
    /// The client closed the connection. Its code, if any, is echoed (RFC 6455 §5.5.1).
    Peer(Option<u16>),
    /// The client violated the transport's protocol: the transport's own code, such as 1002, 1007 or 1009.
    Transport {
        /// The code.
        code: u16,
    },
    /// The client does not read its messages: 1008.
    TooSlow {
        /// The bytes in the outbox.
        waiting: usize,
        /// The limit of the outbox in bytes.
        limit: usize,
    },
}

impl Close {
    /// The WebSocket close code (RFC 6455 §7.4, and the IANA registry for 1012 and 3008).
    ///
    /// `None` if the client closed the connection without a code.
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
