//! What a producer keeps while nobody asks: how much, and what goes when there is more. Pure.
//!
//! Called by builders, which take it from users, and by the exchange, which holds one queue for each partition.

use std::collections::VecDeque;

/// The size of a producer's buffer, and what is dropped when it is full and something comes that cannot wait.
///
/// 10,000 items by default, of which the last are kept, as in GenStage. A queue's `push` waits for room and `try_push`
/// refuses, so nothing is dropped by those; `force_push` does not wait, and tells what was dropped. A producer or source
/// drops something only when it returns more than it was asked for.
///
/// A size of 0 keeps nothing: an item is taken only when somebody has asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub(crate) size: usize,
    pub(crate) keep: Keep,
}

/// Which items stay when a buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The oldest stay, and what comes is dropped.
    First,
    /// The newest stay, and the oldest is dropped.
    Last,
}

impl Buffer {
    /// So many items, of which the oldest stay.
    pub fn keep_first(size: usize) -> Self {
        Buffer { size, keep: Keep::First }
    }

    /// So many items, of which the newest stay.
    pub fn keep_last(size: usize) -> Self {
        Buffer { size, keep: Keep::Last }
    }

    /// How many items it holds.
    pub fn size(self) -> usize {
        self.size
    }

    /// Which of them stay.
    pub fn keep(self) -> Keep {
        self.keep
    }

    /// Adds an item to a queue of this size; gives back what has no place: an older one, or the item itself.
    pub(crate) fn force<T>(self, held: &mut VecDeque<T>, item: T) -> Option<T> {
        if held.len() < self.size {
            held.push_back(item);
            return None;
        }
        match (self.keep, held.pop_front()) {
            (Keep::Last, Some(oldest)) => {
                held.push_back(item);
                Some(oldest)
            }
            (Keep::First, Some(oldest)) => {
                held.push_front(oldest);
                Some(item)
            }
            (_, None) => Some(item),
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::keep_last(10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: Buffer, items: std::ops::Range<u32>) -> (Vec<u32>, Vec<u32>) {
        let mut held = VecDeque::new();
        let dropped = items.filter_map(|item| buffer.force(&mut held, item)).collect();
        (held.into(), dropped)
    }

    #[test]
    fn a_full_buffer_that_keeps_the_last_drops_the_oldest() {
        assert_eq!(fill(Buffer::keep_last(3), 0..5), (vec![2, 3, 4], vec![0, 1]));
    }

    #[test]
    fn a_full_buffer_that_keeps_the_first_drops_what_comes() {
        assert_eq!(fill(Buffer::keep_first(3), 0..5), (vec![0, 1, 2], vec![3, 4]));
    }

    #[test]
    fn a_buffer_of_no_size_keeps_nothing() {
        assert_eq!(fill(Buffer::keep_last(0), 0..2), (vec![], vec![0, 1]));
    }
}
