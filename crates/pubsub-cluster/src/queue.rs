//! The messages that wait for the engine: bounded in bytes, in the order of publishing.
//!
//! Publishers push, one task of the session takes. Invariants: a push never waits for more than another push's copy; what
//! is taken counts until it is written, so the bound holds for both together; nothing waits while there is no session.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may wait for the engine, by default: 8 MiB, half a second of what one connection carries at most.
pub const QUEUE_BYTES: usize = 8 << 20;

/// What is written by one call. Larger ones did not raise the throughput, measured on loopback in November 2026.
const CHUNK: usize = 64 << 10;

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// It would exceed the bound.
    Full,
    /// No session is there to send it.
    Closed,
}

/// Messages as bytes of the engine's protocol, many in one piece.
#[derive(Debug, Default)]
pub struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl Chunk {
    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of each message.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }

    /// How many messages.
    pub fn messages(&self) -> u64 {
        self.ends.len() as u64
    }

    /// How many of them are not all within the first `written` bytes.
    pub(crate) fn messages_after(&self, written: usize) -> u64 {
        (self.ends.len() - self.ends.partition_point(|end| *end <= written)) as u64
    }
}

/// A queue towards an engine.
pub struct Queue {
    limit: usize,
    /// Of what waits and of what was taken and is not written yet. Changed under the lock, read without it too.
    bytes: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    open: bool,
    waiting: VecDeque<Chunk>,
    /// Chunks that were written, to be filled again.
    spare: Vec<Chunk>,
}

/// Chunks that are kept to be filled again, half a MiB: large pieces are dear to ask for.
const SPARE: usize = 8;

impl Queue {
    /// A closed queue for that many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { open: false, waiting: VecDeque::new(), spare: Vec::new() };
        Queue { limit, bytes: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// The bound.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Takes messages from now on.
    pub(crate) fn open(&self) {
        self.state.lock().open = true;
    }

    /// Takes none from now on; what waits goes on waiting.
    pub(crate) fn close(&self) {
        self.state.lock().open = false;
    }

    /// Forgets what waits, and says how many messages that were.
    pub(crate) fn clear(&self) -> u64 {
        let mut state = self.state.lock();
        self.bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut state.waiting).iter().map(Chunk::messages).sum()
    }

    /// Adds one message of about `len` bytes, which `write` appends, and says whether it is the first that waits.
    pub(crate) fn push(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<bool, Rejected> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Rejected::Closed);
        }
        if self.bytes.load(Ordering::Relaxed) + len > self.limit {
            return Err(Rejected::Full);
        }
        let first = state.waiting.is_empty();
        if state.waiting.back().is_none_or(|last| last.bytes.len() + len > CHUNK) {
            let chunk = state.spare.pop().unwrap_or_default();
            state.waiting.push_back(chunk);
        }
        let chunk = state.waiting.back_mut().expect("one was added where none was");
        let before = chunk.bytes.len();
        write(&mut chunk.bytes);
        chunk.ends.push(chunk.bytes.len());
        self.bytes.fetch_add(chunk.bytes.len() - before, Ordering::Relaxed);
        Ok(first)
    }

    /// Whether all that the caller has pushed is written; what others push at the same time it may not see yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Acquire) == 0
    }

    /// Takes the messages that have waited longest.
    pub fn take(&self) -> Option<Chunk> {
        self.state.lock().waiting.pop_front()
    }

    /// What was taken is written, or lost.
    pub fn done(&self, mut chunk: Chunk) {
        let mut state = self.state.lock();
        let bytes = self.bytes.load(Ordering::Relaxed).saturating_sub(chunk.bytes.len());
        self.bytes.store(bytes, Ordering::Release);
        if state.spare.len() < SPARE && chunk.bytes.capacity() <= 2 * CHUNK {
            chunk.bytes.clear();
            chunk.ends.clear();
            state.spare.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, len: usize, byte: u8) -> Result<bool, Rejected> {
        queue.push(len, |out| out.extend(std::iter::repeat_n(byte, len)))
    }

    #[test]
    fn a_message_past_the_bound_is_rejected_until_others_are_written() {
        let queue = Queue::new(100);
        assert_eq!(push(&queue, 1, 0), Err(Rejected::Closed));
        queue.open();
        assert_eq!((push(&queue, 60, 1), push(&queue, 40, 2)), (Ok(true), Ok(false)));
        assert_eq!(push(&queue, 1, 3), Err(Rejected::Full));
        let taken = queue.take().unwrap();
        assert_eq!((taken.messages(), queue.take().is_none()), (2, true));
        assert_eq!(push(&queue, 1, 3), Err(Rejected::Full), "what was taken is not written yet");
        assert!(!queue.is_empty());
        queue.done(taken);
        assert!(queue.is_empty());
        assert_eq!(push(&queue, 100, 4), Ok(true));
    }

    #[test]
    fn order_is_kept_over_chunks_and_each_is_written_at_once() {
        let queue = Queue::new(QUEUE_BYTES);
        queue.open();
        for n in 0..=255 {
            push(&queue, 1000, n).unwrap();
        }
        let mut read = Vec::new();
        while let Some(chunk) = queue.take() {
            assert!(chunk.bytes.len() <= CHUNK);
            read.extend(chunk.bytes.chunks(1000).map(|message| message[0]));
            queue.done(chunk);
        }
        assert_eq!(read, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn what_was_not_written_is_counted_by_message() {
        let queue = Queue::new(100);
        queue.open();
        for n in 0..4 {
            push(&queue, 10, n).unwrap();
        }
        let chunk = queue.take().unwrap();
        assert_eq!([0, 9, 10, 39, 40].map(|written| chunk.messages_after(written)), [4, 4, 3, 1, 0]);
        push(&queue, 10, 9).unwrap();
        queue.close();
        assert_eq!((push(&queue, 1, 1), queue.clear(), queue.take().is_none()), (Err(Rejected::Closed), 1, true));
    }
}
