//! The six frame types that RFC 6455 §5.2 defines.
//!
//! The other ten values of the four-bit field are reserved and have no representation here, so that
//! code past the header never has to ask about them.

/// What a frame carries (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further fragment of the message that is open, `0x0`.
    Continuation,
    /// UTF-8 text, or the first fragment of it, `0x1`.
    Text,
    /// Bytes, or the first fragment of them, `0x2`.
    Binary,
    /// The start or the answer of the closing handshake, `0x8`.
    Close,
    /// A question whether the peer is alive, `0x9`.
    Ping,
    /// The answer to a ping, `0xA`.
    Pong,
}

impl Opcode {
    /// The opcode of a header's first byte; `None` when the value is a reserved one.
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

    /// The value on the wire, four bits.
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

    /// Whether this is a close, a ping or a pong. Control frames are never fragmented, carry at most
    /// 125 bytes, and may come between the fragments of a message (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defined_value_survives_the_wire_and_every_other_is_reserved() {
        let defined: Vec<u8> = (0..16).filter_map(Opcode::from_first_byte).map(Opcode::bits).collect();
        assert_eq!(defined, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
    }

    #[test]
    fn the_flags_of_the_first_byte_do_not_matter() {
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
