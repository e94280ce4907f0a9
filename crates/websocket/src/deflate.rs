//! permessage-deflate, outbound: one message compressed on its own (RFC 7692 §7.2.1).
//!
//! The server never takes its compression context over from one message to the next. It may do so
//! unasked (RFC 7692 §7.1.1.1), and it buys two things: a broadcast is compressed once for all receivers
//! with the same window, and an idle connection holds no compressor. Compressors belong to the thread
//! instead, at most one for each window size.
//!
//! What the peers agree on is in [`negotiate`](fn@negotiate), the way in is the decoder's.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use crate::Opcode;
use crate::encode::{frame, frame_with_rsv1};

mod inflate;
mod negotiate;

pub(crate) use inflate::Inflater;
pub use negotiate::{Negotiated, negotiate};

/// The windows that zlib compresses raw deflate with, in bits.
const MIN_WINDOW_BITS: u8 = 9;
const MAX_WINDOW_BITS: u8 = 15;

/// What a sync flush ends with, and what no message carries on the wire (RFC 7692 §7.2.1).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The empty message: an empty stored block without its tail (RFC 7692 §7.2.3.6).
const EMPTY: [u8; 1] = [0x00];

/// The scratch that a thread keeps between messages, in bytes; what one big message needed is given back.
const KEPT_SCRATCH: usize = 64 * 1024;

thread_local! {
    static DEFLATER: RefCell<Deflater> = RefCell::default();
}

/// A compressed message as one frame, RSV1 set, for every receiver whose
/// [`server_window_bits`](Negotiated::server_window_bits) are `window_bits`.
///
/// `window_bits` outside of 9 to 15, which no [`Negotiated`] holds, give the message uncompressed: that
/// is legal on every connection (RFC 7692 §6).
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

/// A thread's compressors and the buffer they write to.
#[derive(Default)]
struct Deflater {
    /// One for each window size, made when first used: 15 bits cost about 256 KiB.
    compressors: [Option<Compress>; (MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1) as usize],
    scratch: Vec<u8>,
}

impl Deflater {
    /// The deflate stream of one message, without the tail; `None` when there is no compressor for the
    /// window.
    fn deflate(&mut self, payload: &[u8], window_bits: u8) -> Option<&[u8]> {
        let index = window_bits.checked_sub(MIN_WINDOW_BITS)?;
        let compress = self
            .compressors
            .get_mut(usize::from(index))?
            .get_or_insert_with(|| Compress::new_with_window_bits(Compression::default(), false, window_bits));
        compress.reset();
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH);
        self.scratch.reserve(deflate_bound(payload.len()));

        let mut rest = payload;
        loop {
            let taken_before = compress.total_in();
            compress.compress_vec(rest, &mut self.scratch, FlushCompress::Sync).ok()?;
            let taken = usize::try_from(compress.total_in() - taken_before).ok()?;
            rest = rest.get(taken..)?;
            // A flush is done when it leaves room behind.
            if rest.is_empty() && self.scratch.len() < self.scratch.capacity() {
                return self.scratch.strip_suffix(&FLUSH_TAIL);
            }
            self.scratch.reserve(deflate_bound(rest.len()));
        }
    }
}

/// More than zlib can make of `len` bytes, the flush included: its own bound with a margin.
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
    fn the_empty_message_of_rfc_7692_section_7_2_3_6_is_one_zero() {
        assert_eq!(&deflated_frame(Opcode::Text, b"", 15)[..], b"\xC1\x01\x00");
    }

    #[test]
    fn a_message_is_compressed_the_same_whatever_came_before() {
        let first = deflated_frame(Opcode::Text, b"Hello", 15);
        deflated_frame(Opcode::Binary, &[3; 10_000], 15);
        assert_eq!(deflated_frame(Opcode::Text, b"Hello", 15), first);
    }

    #[test]
    fn a_window_that_zlib_does_not_have_leaves_the_message_uncompressed() {
        for window_bits in [0, 8, 16, 255] {
            let frame = deflated_frame(Opcode::Text, b"Hello", window_bits);
            assert_eq!(&frame[..], b"\x81\x05Hello");
        }
    }

    #[test]
    fn a_big_message_leaves_no_big_scratch_behind() {
        let noise: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        deflated_frame(Opcode::Binary, &noise, 15);
        deflated_frame(Opcode::Binary, b"small", 15);
        DEFLATER.with_borrow(|deflater| assert!(deflater.scratch.capacity() <= KEPT_SCRATCH));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_deflated_inflates_to_itself(
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
            let mut inflater = Inflater::new(&Negotiated::default());
            prop_assert_eq!(inflater.inflate(&stream, message.len()), Ok(message));
        }
    }

    #[test]
    fn the_payload_is_what_rfc_7692_section_7_2_3_1_shows() {
        let frame = deflated_frame(Opcode::Text, b"Hello", 15);
        assert_eq!(payload(&frame), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }
}
