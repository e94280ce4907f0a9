//! permessage-deflate: the compression of outbound messages (RFC 7692 §7.2.1).
//!
//! The WebSocket transport of `bennu` calls [`negotiate`](fn@negotiate) in the handshake and [`deflated_frame`] for
//! each message. The decoder inflates inbound messages. Invariant: each message is compressed on its own. The server
//! never takes its context over from one message to the next, which RFC 7692 §7.1.1.1 allows without negotiation. So a
//! broadcast is compressed once for all receivers with the same window, and an idle connection has no compressor:
//! compressors belong to the threads, at most one for each window size.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use crate::Opcode;
use crate::encode::{frame, frame_with_rsv1};

mod inflater;
mod negotiation;

pub(crate) use inflater::Inflater;
pub use negotiation::{DeflateParameters, negotiate};

/// The window sizes for which zlib can compress raw deflate, in bits.
const MIN_WINDOW_BITS: u8 = 9;
const MAX_WINDOW_BITS: u8 = 15;

/// The end of a sync flush, which is removed from every message (RFC 7692 §7.2.1).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The empty message: an empty stored block without its tail (RFC 7692 §7.2.3.6).
const EMPTY: [u8; 1] = [0x00];

/// The size of the buffer that a thread keeps between messages, in bytes. The extra memory of a big message is
/// released.
const KEPT_OUTPUT: usize = 64 * 1024;

thread_local! {
    static DEFLATER: RefCell<Deflater> = RefCell::default();
}

/// Encodes a compressed message as one frame with RSV1, for every receiver with these
/// [`server_window_bits`](DeflateParameters::server_window_bits).
///
/// With `window_bits` outside 9 to 15, which no [`DeflateParameters`] contain, the message is not compressed. Such a
/// message is valid on every connection (RFC 7692 §6).
///
/// ```
/// use bennu_websocket::{Opcode, deflate};
///
/// let frame = deflate::deflated_frame(Opcode::Text, b"Hello", 15);
/// assert_eq!(&frame[..], b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00"); // RFC 7692 §7.2.3.1
/// ```
pub fn deflated_frame(opcode: Opcode, payload: &[u8], window_bits: u8) -> Bytes {
    if payload.is_empty() {
        return frame_with_rsv1(opcode, true, &EMPTY);
    }
    DEFLATER.with_borrow_mut(|deflater| match deflater.deflate(payload, window_bits) {
        Some(stream) => frame_with_rsv1(opcode, true, stream),
        None => frame(opcode, payload),
    })
}

/// The compressors of a thread, and the buffer for their output.
#[derive(Default)]
struct Deflater {
    /// One for each window size, created at its first use. A window of 15 bits costs about 256 KiB.
    compressors: [Option<Compress>; (MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1) as usize],
    output: Vec<u8>,
}

impl Deflater {
    /// Returns the deflate stream of one message, without the tail; `None` when zlib does not support the window.
    fn deflate(&mut self, payload: &[u8], window_bits: u8) -> Option<&[u8]> {
        let index = window_bits.checked_sub(MIN_WINDOW_BITS)?;
        let compress = self
            .compressors
            .get_mut(usize::from(index))?
            .get_or_insert_with(|| Compress::new_with_window_bits(Compression::default(), false, window_bits));
        compress.reset();
        self.output.clear();
        self.output.shrink_to(KEPT_OUTPUT);
        self.output.reserve(deflate_bound(payload.len()));

        let mut rest = payload;
        loop {
            let taken_before = compress.total_in();
            compress.compress_vec(rest, &mut self.output, FlushCompress::Sync).ok()?;
            let taken = usize::try_from(compress.total_in() - taken_before).ok()?;
            rest = rest.get(taken..)?;
            // The flush is complete when the buffer has room left.
            if rest.is_empty() && self.output.len() < self.output.capacity() {
                return self.output.strip_suffix(&FLUSH_TAIL);
            }
            self.output.reserve(deflate_bound(rest.len()));
        }
    }
}

/// Returns an upper bound for the deflate stream of `len` bytes with its flush: zlib's own bound and a margin.
fn deflate_bound(len: usize) -> usize {
    len + len / 8 + len / 64 + 64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The payload of a short frame.
    fn payload(frame: &[u8]) -> &[u8] {
        &frame[2..]
    }

    #[test]
    fn the_empty_message_of_rfc_7692_section_7_2_3_6_is_one_zero_byte() {
        assert_eq!(&deflated_frame(Opcode::Text, b"", 15)[..], b"\xC1\x01\x00");
    }

    #[test]
    fn the_compression_of_a_message_does_not_depend_on_earlier_messages() {
        let first = deflated_frame(Opcode::Text, b"Hello", 15);
        deflated_frame(Opcode::Binary, &[3; 10_000], 15);
        assert_eq!(deflated_frame(Opcode::Text, b"Hello", 15), first);
    }

    #[test]
    fn a_message_is_not_compressed_for_a_window_that_zlib_does_not_support() {
        for window_bits in [0, 8, 16, 255] {
            let frame = deflated_frame(Opcode::Text, b"Hello", window_bits);
            assert_eq!(&frame[..], b"\x81\x05Hello");
        }
    }

    #[test]
    fn the_buffer_shrinks_after_a_big_message() {
        let noise: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        deflated_frame(Opcode::Binary, &noise, 15);
        deflated_frame(Opcode::Binary, b"small", 15);
        DEFLATER.with_borrow(|deflater| assert!(deflater.output.capacity() <= KEPT_OUTPUT));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_deflated_message_inflates_to_itself(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..100),
                proptest::collection::vec(0u8..3, 1..100),
            ],
            repeat in 1usize..100,
            window_bits in MIN_WINDOW_BITS..=MAX_WINDOW_BITS,
        ) {
            let message = bytes.repeat(repeat);
            let stream = DEFLATER.with_borrow_mut(|deflater| {
                deflater.deflate(&message, window_bits).map(<[u8]>::to_vec)
            });
            let stream = stream.expect("9 to 15 bits");
            let mut inflater = Inflater::new(&DeflateParameters::default());
            prop_assert_eq!(inflater.inflate(&stream, message.len()), Ok(message));
        }
    }

    #[test]
    fn the_payload_is_that_of_rfc_7692_section_7_2_3_1() {
        let frame = deflated_frame(Opcode::Text, b"Hello", 15);
        assert_eq!(payload(&frame), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }
}
