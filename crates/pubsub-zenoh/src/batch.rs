//! What one zenoh message holds: the frames of one channel that waited together, in their order. Pure.
//!
//! Each is four bytes of length, big-endian, and that many of the frame. A message of zenoh's costs more than a frame of a
//! broadcast, so many of them are sent as one; what does not wait is sent by itself.

use bytes::{Buf, Bytes};

/// Bytes of a batch, unless it is one large frame: what fits into one write of zenoh's on most networks.
pub(crate) const BATCH: usize = 32 << 10;

/// The length of a frame.
const PREFIX: usize = 4;

/// Frames that are sent together.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    frames: u64,
    /// Bytes to make room for.
    room: usize,
}

impl Batch {
    /// An empty one, for frames of about so many bytes in all.
    pub(crate) fn new(bytes: usize) -> Self {
        Batch { bytes: Vec::new(), frames: 0, room: bytes.min(BATCH) }
    }

    /// Whether a frame has room beside what is there.
    pub(crate) fn has_room(&self, frame: &[u8]) -> bool {
        self.bytes.is_empty() || self.bytes.len() + PREFIX + frame.len() <= BATCH
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("a frame fits into the queue, which is smaller");
        self.bytes.reserve((PREFIX + frame.len()).max(if self.bytes.is_empty() { self.room } else { 0 }));
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(frame);
        self.frames += 1;
    }

    /// The bytes, and how many frames they are. It is empty afterwards.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.frames))
    }
}

/// Bytes that are no batch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are no frame behind its length")]
pub(crate) struct NoFrame(usize);

/// The frames of a batch; they share its bytes. What is no frame ends it.
pub(crate) fn frames(mut bytes: Bytes) -> impl Iterator<Item = Result<Bytes, NoFrame>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = bytes.first_chunk().map_or(usize::MAX, |prefix| u32::from_be_bytes(*prefix) as usize);
        if bytes.len() < PREFIX || bytes.len() - PREFIX < length {
            let rest = std::mem::take(&mut bytes);
            return Some(Err(NoFrame(rest.len())));
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
        fn what_is_written_is_read(written in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut batch = Batch::new(100);
            written.iter().for_each(|frame| batch.push(frame));
            let (bytes, count) = batch.take();
            let read: Vec<_> = frames(bytes.into()).map(Result::unwrap).collect();
            prop_assert_eq!(count, read.len() as u64);
            prop_assert_eq!(read, written);
        }

        #[test]
        fn bytes_of_a_stranger_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let read: Vec<_> = frames(bytes.into()).collect();
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    #[test]
    fn a_batch_is_bounded_but_for_one_large_frame() {
        let mut batch = Batch::new(0);
        assert!(batch.has_room(&[0; 2 * BATCH]));
        batch.push(&[0; BATCH - 2 * PREFIX]);
        assert_eq!([batch.has_room(b""), batch.has_room(b"x")], [true, false]);
        assert_eq!(frames(Bytes::from_static(b"\0\0\0\x05four")).collect::<Vec<_>>(), [Err(NoFrame(8))]);
        assert_eq!(frames(Bytes::from_static(b"\0\0")).collect::<Vec<_>>(), [Err(NoFrame(2))]);
    }
}
