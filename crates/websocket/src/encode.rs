//! Encodes frames (RFC 6455 §5.2). The transports of `bennu` and `bennu-client` call it.
//!
//! A server does not mask, so a frame has the same bytes for every receiver. Header and payload are in one shared
//! [`Bytes`], and a broadcast is encoded once. A client masks each frame with a new key, so its frames are not shared.
//! Invariant: every frame has FIN, because a complete message need not be fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use crate::header::MAX_CONTROL_PAYLOAD;
use crate::{CloseCode, Mask, Opcode};

/// The longest header of a server's frame, in bytes: two, and eight of length.
pub const MAX_HEADER_LEN: usize = 10;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;

/// Encodes an unmasked frame: header and payload in one buffer of exactly their size.
///
/// The payload of a control frame must not exceed 125 bytes (RFC 6455 §5.5). [`close_frame`] and [`pong`] ensure that.
///
/// ```
/// use bennu_websocket::{Opcode, encode};
///
/// assert_eq!(&encode::frame(Opcode::Text, b"Hello")[..], b"\x81\x05Hello"); // RFC 6455 §5.7
/// ```
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    frame_with_rsv1(opcode, false, payload)
}

/// Like [`frame`], with RSV1, which marks a compressed message.
pub(crate) fn frame_with_rsv1(opcode: Opcode, rsv1: bool, payload: &[u8]) -> Bytes {
    let (header, header_len) = header(opcode, rsv1, payload.len());
    let mut frame = BytesMut::with_capacity(header_len + payload.len());
    frame.put_slice(&header[..header_len]);
    frame.put_slice(payload);
    frame.freeze()
}

/// Encodes a close frame (RFC 6455 §5.5.1). Without a code, its payload is empty and the reason is ignored.
///
/// The reason is cut after the last character that fits into 123 bytes.
///
/// ```
/// use bennu_websocket::{CloseCode, encode};
///
/// assert_eq!(&encode::close_frame(CloseCode::NORMAL, "bye")[..], b"\x88\x05\x03\xE8bye");
/// assert_eq!(&encode::close_frame(None, "")[..], b"\x88\x00");
/// ```
pub fn close_frame(code: impl Into<Option<CloseCode>>, reason: &str) -> Bytes {
    let Some(CloseCode(code)) = code.into() else {
        return frame(Opcode::Close, b"");
    };
    let code = code.to_be_bytes();
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - code.len())];
    let mut payload = Vec::with_capacity(code.len() + reason.len());
    payload.extend_from_slice(&code);
    payload.extend_from_slice(reason.as_bytes());
    frame(Opcode::Close, &payload)
}

/// Encodes the pong for a ping with this payload (RFC 6455 §5.5.3). The payload is cut at 125 bytes.
pub fn pong(payload: &[u8]) -> Bytes {
    let len = payload.len().min(MAX_CONTROL_PAYLOAD);
    frame(Opcode::Pong, &payload[..len])
}

/// Encodes the header of an unmasked frame, for a writer that keeps header and payload in separate buffers. The
/// returned number is the length of the header in the array.
///
/// `rsv1` marks the payload as compressed ([`deflate`](crate::deflate)).
pub fn header(opcode: Opcode, rsv1: bool, payload_len: usize) -> ([u8; MAX_HEADER_LEN], usize) {
    let mut header = [0; MAX_HEADER_LEN];
    header[0] = FIN | if rsv1 { RSV1 } else { 0 } | opcode.bits();
    // The shortest form of the length, which RFC 6455 §5.2 requires.
    let len = match payload_len {
        0..=125 => {
            header[1] = payload_len as u8;
            2
        }
        126..=0xFFFF => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
            10
        }
    };
    (header, len)
}

/// Encodes a masked frame of a client.
///
/// RFC 6455 §5.3 requires a new, unpredictable key for every frame, so that a page cannot choose the bytes that a proxy
/// receives. The caller provides the key.
///
/// ```
/// use bennu_websocket::{Opcode, encode};
///
/// let frame = encode::masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(frame, *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // RFC 6455 §5.7
/// ```
pub fn masked_frame(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MAX_HEADER_LEN + key.len() + payload.len());
    write_masked(&mut frame, opcode, payload, key);
    frame
}

/// Appends a masked frame to `output`, so that one write can send many frames; see [`masked_frame`].
pub fn write_masked(output: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    let (mut header, header_len) = header(opcode, false, payload.len());
    header[1] |= MASKED;
    output.extend_from_slice(&header[..header_len]);
    output.extend_from_slice(&key);
    let payload_at = output.len();
    output.extend_from_slice(payload);
    Mask::new(key).apply(&mut output[payload_at..]);
}

/// Encodes a masked close frame of a client. The reason is cut as in [`close_frame`].
pub fn masked_close_frame(code: CloseCode, reason: &str, key: [u8; 4]) -> Vec<u8> {
    // The header of a control frame has two bytes, because its payload never exceeds 125 bytes.
    masked_frame(Opcode::Close, &close_frame(code, reason)[2..], key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unmasked_examples_of_rfc_6455_section_5_7_are_encoded() {
        assert_eq!(&frame(Opcode::Text, b"Hello")[..], b"\x81\x05Hello");
        assert_eq!(&frame(Opcode::Ping, b"Hello")[..], b"\x89\x05Hello");
        assert_eq!(&frame(Opcode::Binary, &[7; 256])[..4], b"\x82\x7E\x01\x00");
        assert_eq!(&frame(Opcode::Binary, &[7; 65536])[..10], b"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    #[test]
    fn the_masked_examples_of_rfc_6455_section_5_7_are_encoded() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(masked_frame(Opcode::Pong, b"Hello", key), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn a_masked_close_has_the_code_and_a_reason_that_fits() {
        assert_eq!(masked_close_frame(CloseCode::NORMAL, "bye", [0; 4]), b"\x88\x85\0\0\0\0\x03\xE8bye");
        assert_eq!(masked_close_frame(CloseCode::NORMAL, &"x".repeat(200), [0; 4]).len(), 6 + 125);
    }

    #[test]
    fn a_length_has_its_shortest_form() {
        let lens = [0, 125, 126, 65535, 65536].map(|len| header(Opcode::Binary, false, len).1);
        assert_eq!(lens, [2, 2, 4, 4, 10]);
    }

    #[test]
    fn the_rsv1_argument_sets_the_bit() {
        assert_eq!(header(Opcode::Text, true, 0).0[0], 0xC1);
    }

    #[test]
    fn the_buffer_of_a_frame_has_no_spare_capacity() {
        let frame = frame(Opcode::Text, b"Hello");
        let buffer = frame.try_into_mut().expect("the only handle");
        assert_eq!(buffer.capacity(), buffer.len());
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close_frame(CloseCode::INTERNAL, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert_eq!(&frame[..4], b"\x88\x7C\x03\xF3");
        assert_eq!(&frame[4..], "é".repeat(61).as_bytes());
    }

    #[test]
    fn a_pong_never_exceeds_the_limit_of_a_control_frame() {
        assert_eq!(pong(&[1; 300]).len(), 2 + 125);
    }
}
