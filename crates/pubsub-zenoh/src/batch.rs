//! The payload of one Zenoh message: the queued frames of one subject, in their order. Pure.
//!
//! Each frame follows its length of four bytes, big-endian. A Zenoh message costs more than a frame, so queued frames
//! are sent together; a frame that finds the queue empty is sent alone. The writer encodes batches, and
//! [`crate::shared`] decodes them.

use bytes::{Buf, Bytes};

/// The largest batch in bytes, except for a single larger frame: one write of Zenoh on most networks.
pub(crate) const MAX_BATCH_BYTES: usize = 32 << 10;

/// The bytes of a frame's length.
const PREFIX: usize = 4;

/// Frames that are sent together.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    frames: u64,
    /// The capacity to allocate.
    room: usize,
}

impl Batch {
    /// Returns an empty batch for frames of about so many bytes in total.
    pub(crate) fn new(bytes: usize) -> Self {
        Batch { bytes: Vec::new(), frames: 0, room: bytes.min(MAX_BATCH_BYTES) }
    }

    /// Returns whether the batch has room for a frame.
    pub(crate) fn has_room(&self, frame: &[u8]) -> bool {
        self.bytes.is_empty() || self.bytes.len() + PREFIX + frame.len() <= MAX_BATCH_BYTES
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("a frame is smaller than the queue, whose limit fits u32");
        self.bytes.reserve((PREFIX + frame.len()).max(if self.bytes.is_empty() { self.room } else { 0 }));
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(frame);
        self.frames += 1;
    }

    /// Takes the bytes and the number of frames, and leaves the batch empty.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.frames))
    }
}

/// Bytes that are not a batch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last {0} bytes of a batch are not a frame after its length")]
pub(crate) struct BatchError(usize);

/// Returns the frames of a batch, which share its bytes. Malformed bytes end the iteration with an error.
pub(crate) fn frames(mut bytes: Bytes) -> impl Iterator<Item = Result<Bytes, BatchError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = bytes.first_chunk().map_or(usize::MAX, |prefix| u32::from_be_bytes(*prefix) as usize);
        if bytes.len() < PREFIX || bytes.len() - PREFIX < length {
            let rest = std::mem::take(&mut bytes);
            return Some(Err(BatchError(rest.len())));
        }
        bytes.advance(PREFIX);
        Some(Ok(bytes.split_to(length)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_decoded_batch_is_the_encoded_one(
            written in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
        ) {
            let mut batch = Batch::new(100);
            written.iter().for_each(|frame| batch.push(frame));
            let (bytes, count) = batch.take();
            let read: Vec<_> = frames(bytes.into()).map(Result::unwrap).collect();
            prop_assert_eq!(count, read.len() as u64);
            prop_assert_eq!(read, written);
        }

        #[test]
        fn foreign_bytes_return_at_most_one_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let read: Vec<_> = frames(bytes.into()).collect();
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    #[test]
    fn a_batch_is_bounded_except_for_one_large_frame() {
        let mut batch = Batch::new(0);
        assert!(batch.has_room(&[0; 2 * MAX_BATCH_BYTES]));
        batch.push(&[0; MAX_BATCH_BYTES - 2 * PREFIX]);
        assert_eq!([batch.has_room(b""), batch.has_room(b"x")], [true, false]);
        assert_eq!(frames(Bytes::from_static(b"\0\0\0\x05four")).collect::<Vec<_>>(), [Err(BatchError(8))]);
        assert_eq!(frames(Bytes::from_static(b"\0\0")).collect::<Vec<_>>(), [Err(BatchError(2))]);
    }
}
