//! The send queue of a node: encoded messages in the order of publishing, bounded in bytes.
//!
//! Publishers push, and the one task or thread that sends takes. Invariants: a push waits at most for the copy of
//! another push; taken chunks count until they are written, so the bound holds for both together; the queue is empty
//! while there is no session.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The default limit of the queue in bytes: 8 MiB, half a second of the highest throughput of one connection.
pub const QUEUE_BYTES: usize = 8 << 20;

/// The bytes of one write. Larger writes did not raise the throughput, measured on loopback in November 2026.
const CHUNK_BYTES: usize = 64 << 10;

/// The reason for which a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// The message would exceed the limit.
    Full,
    /// There is no session.
    Closed,
}

/// Consecutive messages, encoded in the engine's protocol.
#[derive(Debug, Default)]
pub struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// The end of each message.
    ends: Vec<usize>,
}

impl Chunk {
    /// Returns the number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes of each message.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }

    /// Returns the number of messages.
    pub fn messages(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Returns the number of messages that are not completely within the first `written` bytes.
    pub(crate) fn unwritten_messages(&self, written: usize) -> u64 {
        (self.ends.len() - self.ends.partition_point(|end| *end <= written)) as u64
    }
}

/// The send queue of a node.
pub struct SendQueue {
    limit: usize,
    /// The bytes of the queued messages and of the taken chunks that are not written yet. Changed under the lock, read
    /// without it too.
    bytes: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    open: bool,
    waiting: VecDeque<Chunk>,
    /// Written chunks, to be filled again.
    spare: Vec<Chunk>,
}

/// The number of chunks that are kept for reuse, half a MiB: large allocations are expensive.
const MAX_SPARE_CHUNKS: usize = 8;

impl SendQueue {
    /// Returns a closed queue with that limit in bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { open: false, waiting: VecDeque::new(), spare: Vec::new() };
        SendQueue { limit, bytes: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Returns the limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Accepts messages from now on.
    pub(crate) fn open(&self) {
        self.state.lock().open = true;
    }

    /// Rejects messages from now on; the queued ones stay.
    pub(crate) fn close(&self) {
        self.state.lock().open = false;
    }

    /// Drops the queued messages, and returns their number.
    pub(crate) fn clear(&self) -> u64 {
        let mut state = self.state.lock();
        self.bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut state.waiting).iter().map(Chunk::messages).sum()
    }

    /// Queues one message of about `len` bytes, which `write` appends. Returns whether the queue was empty.
    pub(crate) fn push(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<bool, Rejected> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Rejected::Closed);
        }
        if self.bytes.load(Ordering::Relaxed) + len > self.limit {
            return Err(Rejected::Full);
        }
        let first = state.waiting.is_empty();
        if state.waiting.back().is_none_or(|last| last.bytes.len() + len > CHUNK_BYTES) {
            let chunk = state.spare.pop().unwrap_or_default();
            state.waiting.push_back(chunk);
        }
        let chunk = state.waiting.back_mut().expect("a chunk was added to an empty queue");
        let before = chunk.bytes.len();
        write(&mut chunk.bytes);
        chunk.ends.push(chunk.bytes.len());
        self.bytes.fetch_add(chunk.bytes.len() - before, Ordering::Relaxed);
        Ok(first)
    }

    /// Returns whether all messages that the caller has pushed are written. A concurrent push may not be visible yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Acquire) == 0
    }

    /// Takes the oldest chunk.
    pub fn take(&self) -> Option<Chunk> {
        self.state.lock().waiting.pop_front()
    }

    /// Returns a taken chunk whose messages are written or lost.
    pub fn release(&self, mut chunk: Chunk) {
        let mut state = self.state.lock();
        let bytes = self.bytes.load(Ordering::Relaxed).saturating_sub(chunk.bytes.len());
        self.bytes.store(bytes, Ordering::Release);
        if state.spare.len() < MAX_SPARE_CHUNKS && chunk.bytes.capacity() <= 2 * CHUNK_BYTES {
            chunk.bytes.clear();
            chunk.ends.clear();
            state.spare.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &SendQueue, len: usize, byte: u8) -> Result<bool, Rejected> {
        queue.push(len, |out| out.extend(std::iter::repeat_n(byte, len)))
    }

    #[test]
    fn a_message_past_the_bound_is_rejected_until_others_are_written() {
        let queue = SendQueue::new(100);
        assert_eq!(push(&queue, 1, 0), Err(Rejected::Closed));
        queue.open();
        assert_eq!((push(&queue, 60, 1), push(&queue, 40, 2)), (Ok(true), Ok(false)));
        assert_eq!(push(&queue, 1, 3), Err(Rejected::Full));
        let taken = queue.take().unwrap();
        assert_eq!((taken.messages(), queue.take().is_none()), (2, true));
        assert_eq!(push(&queue, 1, 3), Err(Rejected::Full), "the taken chunk is not written yet");
        assert!(!queue.is_empty());
        queue.release(taken);
        assert!(queue.is_empty());
        assert_eq!(push(&queue, 100, 4), Ok(true));
    }

    #[test]
    fn order_is_kept_over_chunks_of_at_most_one_write() {
        let queue = SendQueue::new(QUEUE_BYTES);
        queue.open();
        for n in 0..=255 {
            push(&queue, 1000, n).unwrap();
        }
        let mut read = Vec::new();
        while let Some(chunk) = queue.take() {
            assert!(chunk.bytes.len() <= CHUNK_BYTES);
            read.extend(chunk.bytes.chunks(1000).map(|message| message[0]));
            queue.release(chunk);
        }
        assert_eq!(read, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn unwritten_messages_are_counted() {
        let queue = SendQueue::new(100);
        queue.open();
        for n in 0..4 {
            push(&queue, 10, n).unwrap();
        }
        let chunk = queue.take().unwrap();
        assert_eq!([0, 9, 10, 39, 40].map(|written| chunk.unwritten_messages(written)), [4, 4, 3, 1, 0]);
        push(&queue, 10, 9).unwrap();
        queue.close();
        assert_eq!((push(&queue, 1, 1), queue.clear(), queue.take().is_none()), (Err(Rejected::Closed), 1, true));
    }
}
