//! What a peer can do wrong, and the close code that says so.
//!
//! Every variant is the peer's fault: this crate does no I/O that could fail, and a caller cannot
//! misuse it. Variants are of two kinds, a broken rule of the protocol and a limit of ours that was
//! reached; [`ProtocolError::close_code`] tells them apart on the wire.

use thiserror::Error;

use crate::header::MAX_CONTROL_PAYLOAD;
use crate::{CloseCode, Opcode};

/// Why a peer's bytes were refused. The connection cannot go on: the caller sends
/// [`close_code`](Self::close_code) and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension gives a meaning here (RFC 6455 §5.2).
    #[error("reserved bits {bits:#05b} are set on a {opcode:?} frame; none may be")]
    ReservedBits {
        /// RSV1, RSV2 and RSV3, the first as the highest bit.
        bits: u8,
        /// The frame that carried them.
        opcode: Opcode,
    },
    /// An opcode that RFC 6455 §5.2 reserves.
    #[error("opcode {opcode:#x} is reserved")]
    ReservedOpcode {
        /// The four bits of the field.
        opcode: u8,
    },
    /// A client must mask every frame (RFC 6455 §5.1).
    #[error("a {opcode:?} frame is not masked; every frame of a client must be")]
    Unmasked {
        /// The frame that was not.
        opcode: Opcode,
    },
    /// A server must not mask any frame (RFC 6455 §5.1).
    #[error("a {opcode:?} frame is masked; no frame of a server may be")]
    Masked {
        /// The frame that was.
        opcode: Opcode,
    },
    /// A control frame without FIN (RFC 6455 §5.5).
    #[error("a {opcode:?} frame is fragmented; control frames may not be")]
    FragmentedControl {
        /// Close, ping or pong.
        opcode: Opcode,
    },
    /// A control frame with an extended length (RFC 6455 §5.5).
    #[error("a {opcode:?} frame announces more than {MAX_CONTROL_PAYLOAD} bytes, the most a control frame may carry")]
    ControlTooLong {
        /// Close, ping or pong.
        opcode: Opcode,
    },
    /// A continuation frame while no message is open (RFC 6455 §5.4).
    #[error("a continuation frame came, but no fragmented message is open")]
    UnexpectedContinuation,
    /// A text or binary frame while a fragmented message is open (RFC 6455 §5.4).
    #[error("a {opcode:?} frame came inside a fragmented message; only continuations may")]
    InterleavedMessage {
        /// Text or binary.
        opcode: Opcode,
    },
    /// A length in more bytes than it needs (RFC 6455 §5.2).
    #[error("the length {length} is written in {field_bits} bits, which is not its shortest form")]
    LengthNotMinimal {
        /// The payload length.
        length: u64,
        /// 16 or 64.
        field_bits: u8,
    },
    /// Header and payload of one frame together are over the limit.
    #[error("a frame of {size} bytes with its header is over the limit of {limit} bytes")]
    FrameTooBig {
        /// Header and payload, in bytes.
        size: u64,
        /// [`Limits::max_frame_size`](crate::Limits::max_frame_size).
        limit: usize,
    },
    /// The payloads of a fragmented message together are over the limit.
    #[error("a fragmented message of at least {size} bytes is over the limit of {limit} bytes")]
    MessageTooBig {
        /// All payloads so far and the one just announced, in bytes.
        size: u64,
        /// [`Limits::max_frame_size`](crate::Limits::max_frame_size).
        limit: usize,
    },
    /// A compressed message inflates to more than the limit.
    #[error("a compressed message inflates to more than the limit of {limit} bytes")]
    InflatedTooBig {
        /// [`Limits::max_frame_size`](crate::Limits::max_frame_size).
        limit: usize,
    },
    /// A text message that is not UTF-8 (RFC 6455 §8.1).
    #[error("a text message is not UTF-8 from its byte {index} on")]
    InvalidUtf8 {
        /// How many bytes of the message are valid.
        index: usize,
    },
    /// A compressed message that is no deflate stream, is cut short, or points before its window
    /// (RFC 7692 §7.2.2).
    #[error("a compressed message of {size} bytes is not a whole deflate stream")]
    InvalidDeflate {
        /// The compressed size, in bytes.
        size: usize,
    },
    /// A close payload of one byte (RFC 6455 §5.5.1).
    #[error("a close frame carries 1 byte; a close code has 2")]
    ClosePayloadTooShort,
    /// A close code that no peer may send (RFC 6455 §7.4).
    #[error("close code {code} may not be sent")]
    InvalidCloseCode {
        /// The code received.
        code: CloseCode,
    },
    /// A close reason that is not UTF-8 (RFC 6455 §5.5.1).
    #[error("a close reason is not UTF-8 from its byte {index} on")]
    InvalidCloseReason {
        /// How many bytes of the reason are valid.
        index: usize,
    },
}

impl ProtocolError {
    /// The code to close the connection with (RFC 6455 §7.4.1): 1009 for a limit, 1007 for data that
    /// are not what they should be, 1002 for everything else.
    pub fn close_code(&self) -> CloseCode {
        match self {
            ProtocolError::FrameTooBig { .. }
            | ProtocolError::MessageTooBig { .. }
            | ProtocolError::InflatedTooBig { .. } => CloseCode::TOO_BIG,
            ProtocolError::InvalidUtf8 { .. }
            | ProtocolError::InvalidDeflate { .. }
            | ProtocolError::InvalidCloseReason { .. } => CloseCode::INVALID_PAYLOAD,
            ProtocolError::ReservedBits { .. }
            | ProtocolError::ReservedOpcode { .. }
            | ProtocolError::Unmasked { .. }
            | ProtocolError::Masked { .. }
            | ProtocolError::FragmentedControl { .. }
            | ProtocolError::ControlTooLong { .. }
            | ProtocolError::UnexpectedContinuation
            | ProtocolError::InterleavedMessage { .. }
            | ProtocolError::LengthNotMinimal { .. }
            | ProtocolError::ClosePayloadTooShort
            | ProtocolError::InvalidCloseCode { .. } => CloseCode::PROTOCOL_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_value_and_the_limit() {
        let error = ProtocolError::FrameTooBig { size: 1001, limit: 1000 };
        assert_eq!(error.to_string(), "a frame of 1001 bytes with its header is over the limit of 1000 bytes");
        let error = ProtocolError::ReservedBits { bits: 0b100, opcode: Opcode::Text };
        assert_eq!(error.to_string(), "reserved bits 0b100 are set on a Text frame; none may be");
    }
}
