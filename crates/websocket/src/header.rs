//! The header of one frame (RFC 6455 §5.2), with all rules that concern a single header.
//!
//! The decoder calls [`FrameHeader::parse`] with the bytes that it has. The rules that concern earlier frames (whether
//! a message is open, whether RSV1 is allowed) are in the decoder. Invariant: the frame of a parsed header is within
//! the limit, so sums with its length do not overflow.

use crate::{Opcode, ProtocolError};

/// The peer whose frames are decoded. A client masks every frame, a server none (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Client,
    Server,
}

/// The longest header of a client's frame, in bytes: two, eight of length, four of key.
pub(crate) const MAX_MASKED_HEADER_LEN: usize = 14;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest payload of a 64-bit length, whose top bit must be clear (RFC 6455 §5.2).
const LONGEST: u64 = u64::MAX >> 1;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const KEY_LEN: usize = 4;

/// A frame header that satisfies all rules of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) fin: bool,
    /// RSV1, the one reserved bit that permessage-deflate uses. RSV2 and RSV3 are clear.
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// The masking key. Every frame of a client has one, no frame of a server does.
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload_len: usize,
    pub(crate) header_len: usize,
}

impl FrameHeader {
    /// Parses a header at the front of `bytes`; `None` when more bytes are needed.
    ///
    /// Each field is checked as soon as it has arrived, so a frame that is too big is refused before its key arrives.
    pub(crate) fn parse(bytes: &[u8], peer: Peer, max_frame_size: usize) -> Result<Option<Self>, ProtocolError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let fin = first & FIN != 0;
        let reserved = (first >> 4) & 0b111;
        let opcode = Opcode::from_first_byte(first).ok_or(ProtocolError::ReservedOpcode { opcode: first & 0x0F })?;
        if reserved & 0b011 != 0 {
            return Err(ProtocolError::ReservedBits { bits: reserved, opcode });
        }
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl { opcode });
        }

        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let masked = second & MASKED != 0;
        match peer {
            Peer::Client if !masked => return Err(ProtocolError::Unmasked { opcode }),
            Peer::Server if masked => return Err(ProtocolError::Masked { opcode }),
            Peer::Client | Peer::Server => {}
        }
        let short_len = second & 0x7F;
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlTooLong { opcode });
        }

        let Some((payload_len, key_at)) = payload_len(short_len, bytes)? else {
            return Ok(None);
        };
        let header_len = key_at + if masked { KEY_LEN } else { 0 };
        let payload_len = within_limit(header_len, payload_len, max_frame_size)?;

        let key = bytes.get(key_at..).and_then(|rest| rest.first_chunk()).copied().filter(|_| masked);
        if masked && key.is_none() {
            return Ok(None);
        }
        Ok(Some(FrameHeader { fin, rsv1: reserved & 0b100 != 0, opcode, key, payload_len, header_len }))
    }
}

/// Returns the payload length and the offset of the key; `None` when the length is incomplete.
fn payload_len(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    let extended = bytes.get(2..).unwrap_or_default();
    let (length, field_bits, longest_shorter_form) = match short_len {
        126 => match extended.first_chunk() {
            Some(field) => (u64::from(u16::from_be_bytes(*field)), 16, 125),
            None => return Ok(None),
        },
        127 => match extended.first_chunk() {
            Some(field) => (u64::from_be_bytes(*field), 64, u64::from(u16::MAX)),
            None => return Ok(None),
        },
        _ => return Ok(Some((u64::from(short_len), 2))),
    };
    if length <= longest_shorter_form {
        return Err(ProtocolError::LengthNotMinimal { length, field_bits });
    }
    Ok(Some((length, 2 + usize::from(field_bits) / 8)))
}

/// Checks header and payload together against the limit, as Bandit under Phoenix does. (Recorded with 1.8.12: with a
/// limit of 1,000, a payload of 992 bytes is accepted and one of 994 is refused.)
///
/// A length with its top bit set exceeds any limit, and is refused with the same close code, as by Bandit.
fn within_limit(header_len: usize, payload_len: u64, limit: usize) -> Result<usize, ProtocolError> {
    let size = payload_len.saturating_add(header_len as u64);
    match usize::try_from(size) {
        Ok(size) if size <= limit && payload_len <= LONGEST => Ok(size - header_len),
        _ => Err(ProtocolError::FrameTooBig { size, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 10_000_000;

    fn parse(bytes: &[u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        FrameHeader::parse(bytes, Peer::Client, LIMIT)
    }

    #[test]
    fn the_masked_hello_of_rfc_6455_section_5_7_is_read() {
        let header = parse(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f]);
        assert_eq!(
            header,
            Ok(Some(FrameHeader {
                fin: true,
                rsv1: false,
                opcode: Opcode::Text,
                key: Some([0x37, 0xfa, 0x21, 0x3d]),
                payload_len: 5,
                header_len: 6,
            }))
        );
    }

    #[test]
    fn the_unmasked_hello_of_rfc_6455_section_5_7_is_accepted_from_a_server_only() {
        let bytes = b"\x81\x05Hello";
        let header = FrameHeader::parse(bytes, Peer::Server, LIMIT).expect("valid").expect("whole");
        assert_eq!((header.key, header.payload_len, header.header_len), (None, 5, 2));
        assert_eq!(parse(bytes), Err(ProtocolError::Unmasked { opcode: Opcode::Text }));
    }

    #[test]
    fn a_masked_frame_of_a_server_is_refused_with_1002() {
        let error = FrameHeader::parse(&[0x82, 0x85], Peer::Server, LIMIT).expect_err("a mask");
        assert_eq!(error, ProtocolError::Masked { opcode: Opcode::Binary });
        assert_eq!(error.close_code(), crate::CloseCode::PROTOCOL_ERROR);
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete() {
        let headers: [&[u8]; 3] = [
            &[0x82, 0xFD, 1, 2, 3, 4],
            &[0x82, 0xFE, 0x01, 0x00, 1, 2, 3, 4],
            &[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        ];
        for (header, payload_len) in headers.into_iter().zip([125, 256, 65536]) {
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(None), "{cut} bytes of {header:?}");
            }
            let parsed = parse(header).expect("valid").expect("whole");
            assert_eq!(parsed.payload_len, payload_len);
            assert_eq!(parsed.header_len, header.len());
        }
    }

    #[test]
    fn a_length_that_is_not_minimal_is_refused() {
        let not_minimal = |length, field_bits| Err(ProtocolError::LengthNotMinimal { length, field_bits });
        assert_eq!(parse(&[0x82, 0xFE, 0, 125]), not_minimal(125, 16));
        assert_eq!(parse(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), not_minimal(65535, 64));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_its_key_arrives() {
        let at = |payload_len: u16| {
            let [high, low] = payload_len.to_be_bytes();
            FrameHeader::parse(&[0x81, 0xFE, high, low], Peer::Client, 1000)
        };
        assert_eq!(at(992), Ok(None));
        let error = at(993).expect_err("8 bytes of header and 993 of payload");
        assert_eq!(error, ProtocolError::FrameTooBig { size: 1001, limit: 1000 });
    }

    #[test]
    fn a_length_with_its_top_bit_set_exceeds_every_limit() {
        let bytes = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let error = FrameHeader::parse(&bytes, Peer::Client, usize::MAX).expect_err("no such frame");
        assert_eq!(error.close_code(), crate::CloseCode::TOO_BIG);
    }

    #[test]
    fn the_first_byte_is_checked_when_it_arrives() {
        assert!(matches!(parse(&[0xA1]), Err(ProtocolError::ReservedBits { bits: 0b010, .. })));
        assert!(matches!(parse(&[0x91]), Err(ProtocolError::ReservedBits { bits: 0b001, .. })));
        assert!(matches!(parse(&[0x83]), Err(ProtocolError::ReservedOpcode { opcode: 3 })));
        assert!(matches!(parse(&[0x09]), Err(ProtocolError::FragmentedControl { .. })));
    }

    #[test]
    fn the_second_byte_is_checked_when_it_arrives() {
        assert!(matches!(parse(&[0x81, 0x05]), Err(ProtocolError::Unmasked { .. })));
        assert!(matches!(parse(&[0x89, 0xFE]), Err(ProtocolError::ControlTooLong { .. })));
    }
}
