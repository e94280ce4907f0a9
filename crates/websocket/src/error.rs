//! The faults of a peer, each with the close code for the connection.
//!
//! The decoder returns them. Every variant is the peer's fault: the crate does no I/O that could fail, and a caller
//! cannot misuse it. The peer has violated either a rule of the protocol or a limit of the receiver.
//! [`ProtocolError::close_code`] differs for the two.

use thiserror::Error;

use crate::header::MAX_CONTROL_PAYLOAD;
use crate::{CloseCode, Opcode};

/// A violation by the peer, which ends the connection. The caller sends [`close_code`](Self::close_code) and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension defines for this frame (RFC 6455 §5.2).
    #[error("reserved bits {bits:#05b} are set on a {opcode:?} frame; no negotiated extension defines them there")]
    ReservedBits {
        /// RSV1, RSV2 and RSV3, with RSV1 as the highest bit.
        bits: u8,
        /// The type of the frame.
        opcode: Opcode,
    },
    /// An opcode that RFC 6455 §5.2 reserves.
    #[error("opcode {opcode:#x} is reserved")]
    ReservedOpcode {
        /// The four bits of the field.
        opcode: u8,
    },
    /// A client must mask every frame (RFC 6455 §5.1).
    #[error("a {opcode:?} frame is not masked; a client must mask every frame")]
    Unmasked {
        /// The type of the frame.
        opcode: Opcode,
    },
    /// A server must not mask any frame (RFC 6455 §5.1).
    #[error("a {opcode:?} frame is masked; a server must not mask any frame")]
    Masked {
        /// The type of the frame.
        opcode: Opcode,
    },
    /// A control frame without FIN (RFC 6455 §5.5).
    #[error("a {opcode:?} frame is fragmented; a control frame must not be fragmented")]
    FragmentedControl {
        /// Close, ping or pong.
        opcode: Opcode,
    },
    /// A control frame with an extended length (RFC 6455 §5.5).
    #[error("a {opcode:?} frame has more than {MAX_CONTROL_PAYLOAD} bytes, the limit of a control frame")]
    ControlTooLong {
        /// Close, ping or pong.
        opcode: Opcode,
    },
    /// A continuation frame while no message is open (RFC 6455 §5.4).
    #[error("a continuation frame arrived while no fragmented message is open")]
    UnexpectedContinuation,
    /// A text or binary frame while a fragmented message is open (RFC 6455 §5.4).
    #[error("a {opcode:?} frame arrived inside a fragmented message, which only continuation frames can continue")]
    InterleavedMessage {
        /// Text or binary.
        opcode: Opcode,
    },
    /// A length that is not in its shortest form (RFC 6455 §5.2).
    #[error("the length {length} is encoded in {field_bits} bits, which is not its shortest form")]
    LengthNotMinimal {
        /// The payload length.
        length: u64,
        /// 16 or 64.
        field_bits: u8,
    },
    /// Header and payload of one frame together exceed the limit.
    #[error("a frame of {size} bytes with its header is over the limit of {limit} bytes")]
    FrameTooBig {
        /// The size of header and payload in bytes.
        size: u64,
        /// [`DecoderLimits::max_frame_size`](crate::DecoderLimits::max_frame_size).
        limit: usize,
    },
    /// The payloads of a fragmented message together exceed the limit.
    #[error("a fragmented message of at least {size} bytes is over the limit of {limit} bytes")]
    MessageTooBig {
        /// The size of all payloads received and of the one just announced, in bytes.
        size: u64,
        /// [`DecoderLimits::max_frame_size`](crate::DecoderLimits::max_frame_size).
        limit: usize,
    },
    /// A compressed message exceeds the limit after inflation.
    #[error("a compressed message inflates to more than the limit of {limit} bytes")]
    InflatedTooBig {
        /// [`DecoderLimits::max_frame_size`](crate::DecoderLimits::max_frame_size).
        limit: usize,
    },
    /// A text message is not UTF-8 (RFC 6455 §8.1).
    #[error("a text message is not UTF-8 from its byte {index} on")]
    InvalidUtf8 {
        /// The number of valid bytes before.
        index: usize,
    },
    /// A compressed message is not a deflate stream, is truncated, or refers to bytes before its window (RFC 7692
    /// §7.2.2).
    #[error("a compressed message of {size} bytes is not a complete deflate stream")]
    InvalidDeflate {
        /// The compressed size in bytes.
        size: usize,
    },
    /// A close payload of one byte (RFC 6455 §5.5.1).
    #[error("the payload of a close frame is 1 byte, which is not a close code: a code has 2")]
    ClosePayloadTooShort,
    /// A close code that a peer must not send (RFC 6455 §7.4).
    #[error("{code} is not a close code that a peer can send")]
    InvalidCloseCode {
        /// The code.
        code: CloseCode,
    },
    /// A close reason is not UTF-8 (RFC 6455 §5.5.1).
    #[error("a close reason is not UTF-8 from its byte {index} on")]
    InvalidCloseReason {
        /// The number of valid bytes before.
        index: usize,
    },
}

impl ProtocolError {
    /// The close code for the connection (RFC 6455 §7.4.1): 1009 for a limit, 1007 for data of the wrong type, 1002 for
    /// all other errors.
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
    fn an_error_text_has_the_value_and_the_limit() {
        let error = ProtocolError::FrameTooBig { size: 1001, limit: 1000 };
        assert_eq!(error.to_string(), "a frame of 1001 bytes with its header is over the limit of 1000 bytes");
        let error = ProtocolError::ReservedBits { bits: 0b100, opcode: Opcode::Text };
        assert_eq!(
            error.to_string(),
            "reserved bits 0b100 are set on a Text frame; no negotiated extension defines them there"
        );
    }
}
