//! The six frame types that RFC 6455 §5.2 defines.
//!
//! The other ten values of the four-bit field are reserved. They have no variant, so only the header parser handles
//! them.

/// The type of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further fragment of the open message, `0x0`.
    Continuation,
    /// A text message or its first fragment, `0x1`.
    Text,
    /// A binary message or its first fragment, `0x2`.
    Binary,
    /// The start of the closing handshake, or the reply to it, `0x8`.
    Close,
    /// A request for a pong, `0x9`.
    Ping,
    /// The reply to a ping, `0xA`.
    Pong,
}

impl Opcode {
    /// Returns the opcode in the first byte of a header; `None` for a reserved value.
    pub(crate) fn from_first_byte(byte: u8) -> Option<Self> {
        match byte & 0x0F {
            0x0 => Some(Opcode::Continuation),
            0x1 => Some(Opcode::Text),
            0x2 => Some(Opcode::Binary),
            0x8 => Some(Opcode::Close),
            0x9 => Some(Opcode::Ping),
            0xA => Some(Opcode::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xA,
        }
    }

    /// Whether the frame is a control frame: a close, a ping or a pong. A control frame is never fragmented, carries at
    /// most 125 bytes, and can arrive between the fragments of a message (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defined_value_has_an_opcode_and_every_other_value_is_reserved() {
        let defined: Vec<u8> = (0..16).filter_map(Opcode::from_first_byte).map(Opcode::bits).collect();
        assert_eq!(defined, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
    }

    #[test]
    fn the_flags_of_the_first_byte_are_ignored() {
        assert_eq!(Opcode::from_first_byte(0xF1), Some(Opcode::Text));
        assert_eq!(Opcode::from_first_byte(0xF3), None);
    }

    #[test]
    fn control_frames_are_those_with_the_high_bit() {
        for opcode in (0..16).filter_map(Opcode::from_first_byte) {
            assert_eq!(opcode.is_control(), opcode.bits() & 0x8 != 0);
        }
    }
}
