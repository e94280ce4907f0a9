//! The header of one frame (RFC 6455 §5.2): all rules that one header alone can break.
//!
//! The decoder calls [`FrameHeader::parse`] with as many bytes as it has. What depends on the frames
//! before (is a message open, is RSV1 allowed) is the decoder's to judge. A header that was returned
//! announces a frame within the limit, so its length is safe to count with.

use crate::{Opcode, Peer, ProtocolError};

/// Two bytes, eight of length, four of key: the longest, which only a client's is.
pub(crate) const MAX_HEADER: usize = 14;

/// The most a control frame may carry, in bytes (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest payload that a 64-bit length may announce: its top bit is clear (RFC 6455 §5.2).
const LONGEST: u64 = u64::MAX >> 1;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const KEY_LEN: usize = 4;

/// A frame header with nothing left in it to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) fin: bool,
    /// RSV1, the one reserved bit that permessage-deflate uses. RSV2 and RSV3 are clear.
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// The key of a masked payload: a client's always is, a server's never.
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload_len: usize,
    pub(crate) header_len: usize,
}

impl FrameHeader {
    /// Reads a header from the front of `bytes`; `None` when more bytes are needed to tell.
    ///
    /// Each field is judged as soon as it is there, so a frame that is too big is refused before its
    /// key has come.
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

/// The payload length and where the key starts; `None` when the length has not come whole.
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

/// Bounds header and payload together, as Bandit under Phoenix does (recorded with 1.8.12: a limit of
/// 1000 lets 992 bytes of payload through and refuses 994).
///
/// A length with its top bit set is over any limit, and that is what the peer is told, as Bandit does.
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
    fn the_unmasked_hello_of_rfc_6455_section_5_7_is_read_from_a_server_and_from_no_client() {
        let bytes = b"\x81\x05Hello";
        let header = FrameHeader::parse(bytes, Peer::Server, LIMIT).expect("valid").expect("whole");
        assert_eq!((header.key, header.payload_len, header.header_len), (None, 5, 2));
        assert_eq!(parse(bytes), Err(ProtocolError::Unmasked { opcode: Opcode::Text }));
    }

    #[test]
    fn a_server_that_masks_is_refused_with_1002() {
        let error = FrameHeader::parse(&[0x82, 0x85], Peer::Server, LIMIT).expect_err("a mask");
        assert_eq!(error, ProtocolError::Masked { opcode: Opcode::Binary });
        assert_eq!(error.close_code(), crate::CloseCode::PROTOCOL_ERROR);
    }

    #[test]
    fn every_prefix_of_a_header_asks_for_more() {
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
    fn a_length_in_a_longer_form_than_it_needs_is_refused() {
        let not_minimal = |length, field_bits| Err(ProtocolError::LengthNotMinimal { length, field_bits });
        assert_eq!(parse(&[0x82, 0xFE, 0, 125]), not_minimal(125, 16));
        assert_eq!(parse(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), not_minimal(65535, 64));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_its_key_has_come() {
        let at = |payload_len: u16| {
            let [high, low] = payload_len.to_be_bytes();
            FrameHeader::parse(&[0x81, 0xFE, high, low], Peer::Client, 1000)
        };
        assert_eq!(at(992), Ok(None));
        let error = at(993).expect_err("8 bytes of header and 993 of payload");
        assert_eq!(error, ProtocolError::FrameTooBig { size: 1001, limit: 1000 });
    }

    #[test]
    fn the_top_bit_of_a_length_is_over_every_limit() {
        let bytes = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let error = FrameHeader::parse(&bytes, Peer::Client, usize::MAX).expect_err("no such frame");
        assert_eq!(error.close_code(), crate::CloseCode::TOO_BIG);
    }

    #[test]
    fn one_byte_is_enough_to_refuse_what_it_says() {
        assert!(matches!(parse(&[0xA1]), Err(ProtocolError::ReservedBits { bits: 0b010, .. })));
        assert!(matches!(parse(&[0x91]), Err(ProtocolError::ReservedBits { bits: 0b001, .. })));
        assert!(matches!(parse(&[0x83]), Err(ProtocolError::ReservedOpcode { opcode: 3 })));
        assert!(matches!(parse(&[0x09]), Err(ProtocolError::FragmentedControl { .. })));
    }

    #[test]
    fn two_bytes_are_enough_to_refuse_what_they_say() {
        assert!(matches!(parse(&[0x81, 0x05]), Err(ProtocolError::Unmasked { .. })));
        assert!(matches!(parse(&[0x89, 0xFE]), Err(ProtocolError::ControlTooLong { .. })));
    }
}
