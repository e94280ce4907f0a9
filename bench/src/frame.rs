//! A minimal codec of WebSocket frames (RFC 6455 section 5.2) for the load generator and the raw loop.
//!
//! The load generator encodes masked client frames and the raw loop decodes them; unmasked server frames take the
//! opposite direction. The codec is independent of Phoenix's protocol. It validates nothing: no UTF-8, no
//! fragmentation, no reserved bits. Validation is the work of the server under test, and the baseline omits it.

use std::ops::Range;

/// Opcode of a text frame.
pub(crate) const TEXT: u8 = 0x1;
/// Opcode of a close frame.
pub(crate) const CLOSE: u8 = 0x8;
/// Opcode of a ping frame.
pub(crate) const PING: u8 = 0x9;
/// Opcode of a pong frame.
pub(crate) const PONG: u8 = 0xA;

/// The mask key of the load generator's frames. Every key but zero costs the server the same.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Two bytes, and up to eight of extended length, without the mask key.
const MAX_UNMASKED_HEADER: usize = 10;

/// Appends a server frame with this opcode whose payload is the concatenation of `parts`.
pub(crate) fn encode_server(out: &mut Vec<u8>, opcode: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    push_header(out, opcode, length, 0);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Returns a masked client frame with this opcode and payload.
pub(crate) fn encode_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + MAX_UNMASKED_HEADER + MASK.len());
    push_header(&mut out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], MASK);
    out
}

fn push_header(out: &mut Vec<u8>, opcode: u8, length: usize, mask_bit: u8) {
    out.push(0x80 | opcode);
    if length < 126 {
        out.push(mask_bit | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(mask_bit | 126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(mask_bit | 127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// XORs eight bytes a step, which is fast enough for payloads of 150 bytes.
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let word = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut words = payload.chunks_exact_mut(8);
    for chunk in &mut words {
        let plain = u64::from_ne_bytes(chunk.try_into().expect("chunks of exactly eight")) ^ word;
        chunk.copy_from_slice(&plain.to_ne_bytes());
    }
    let tail = words.into_remainder();
    tail.iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
    // A remainder has at most seven bytes: its second half begins again at the first byte of the mask.
    if tail.len() > 4 {
        tail[4..].iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
    }
}

/// A frame header with its own size and the payload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The low four bits of the first byte.
    pub(crate) opcode: u8,
    /// Bytes of the header, the mask key included.
    pub(crate) size: usize,
    /// Bytes of the payload.
    pub(crate) payload: u64,
    /// The key of a masked frame.
    mask: Option<[u8; 4]>,
}

impl Header {
    /// Reads the header at the beginning of `bytes`; `None` while it is incomplete.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (mut size, payload) = match second & 0x7F {
            126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, short.into()),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            size += 4;
            Some(bytes.get(size - 4..size)?.try_into().ok()?)
        };
        Some(Self { opcode: first & 0x0F, size, payload, mask })
    }
}

/// A whole frame at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The opcode.
    pub(crate) opcode: u8,
    /// The range of the payload; the next frame begins at its end.
    pub(crate) payload: Range<usize>,
}

/// Returns the frame at the beginning of `bytes` and unmasks it in place; `None` while it is incomplete.
#[inline]
pub(crate) fn decode(bytes: &mut [u8]) -> Option<Frame> {
    let header = Header::read(bytes)?;
    let end = usize::try_from(header.payload).ok()?.checked_add(header.size)?;
    let payload = bytes.get_mut(header.size..end)?;
    if let Some(mask) = header.mask {
        apply_mask(payload, mask);
    }
    Some(Frame { opcode: header.opcode, payload: header.size..end })
}

/// Counts the frames of a server's stream by their headers, independently of the boundaries of reads.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Bytes of the current frame's payload that have not arrived yet.
    skip: u64,
    /// The first bytes of a header that two reads share.
    partial: [u8; MAX_UNMASKED_HEADER],
    partial_size: u8,
}

impl Counter {
    /// Calls `seen` with opcode and payload length of every frame whose header ends in `bytes`.
    ///
    /// A frame counts as soon as its header is complete; the payload of the last one may arrive with the next call.
    #[inline]
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(u8, u64)) {
        loop {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            bytes = &bytes[skipped as usize..];
            if bytes.is_empty() {
                return;
            }
            if self.partial_size == 0
                && let Some(header) = Header::read(bytes)
            {
                bytes = &bytes[header.size..];
                self.skip = header.payload;
                seen(header.opcode, header.payload);
                continue;
            }
            // A header in two reads is rare, so it is read byte by byte.
            self.partial[usize::from(self.partial_size)] = bytes[0];
            self.partial_size += 1;
            bytes = &bytes[1..];
            if let Some(header) = Header::read(&self.partial[..self.partial_size.into()]) {
                self.partial_size = 0;
                self.skip = header.payload;
                seen(header.opcode, header.payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 11] = [0, 1, 5, 7, 8, 125, 126, 131, 65_535, 65_536, 70_000];

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31) as u8).collect()
    }

    #[test]
    fn the_masked_hello_of_rfc_6455_section_5_7_is_encoded_and_decoded() {
        let mut bytes = encode_client(TEXT, b"Hello");
        assert_eq!(bytes, [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
        assert_eq!(decode(&mut bytes), Some(Frame { opcode: TEXT, payload: 6..11 }));
        assert_eq!(&bytes[6..], b"Hello");
    }

    #[test]
    fn client_frames_of_every_length_class_are_decoded_to_their_payload() {
        for length in LENGTHS {
            let mut bytes = encode_client(TEXT, &payload(length));
            let frame = decode(&mut bytes).expect("a whole frame");
            assert_eq!(bytes[frame.payload], payload(length), "{length} bytes");
        }
    }

    #[test]
    fn an_incomplete_frame_is_none_and_is_not_changed() {
        let whole = encode_client(TEXT, &payload(131));
        for cut in 0..whole.len() {
            let mut bytes = whole[..cut].to_vec();
            assert_eq!(decode(&mut bytes), None, "cut at {cut}");
            assert_eq!(bytes, whole[..cut]);
        }
    }

    #[test]
    fn a_length_of_2_to_the_64_neither_panics_nor_overflows() {
        let mut bytes = [0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0];
        assert_eq!(decode(&mut bytes), None);
    }

    #[test]
    fn the_counter_counts_the_same_frames_for_every_size_of_reads() {
        let mut stream = Vec::new();
        for length in LENGTHS {
            encode_server(&mut stream, TEXT, &[&payload(length)]);
        }
        for piece in [1, 2, 3, 7, 130, 65_537, stream.len()] {
            let (mut counter, mut seen) = (Counter::default(), Vec::new());
            for read in stream.chunks(piece) {
                counter.feed(read, |opcode, length| seen.push((opcode, length as usize)));
            }
            assert_eq!(seen, LENGTHS.map(|length| (TEXT, length)), "reads of {piece} bytes");
        }
    }

    #[test]
    fn a_server_frame_is_the_concatenation_of_its_parts_behind_one_header() {
        let mut bytes = Vec::new();
        encode_server(&mut bytes, CLOSE, &[b"ab", b"", b"c"]);
        assert_eq!(bytes, [0x88, 3, b'a', b'b', b'c']);
    }
}
