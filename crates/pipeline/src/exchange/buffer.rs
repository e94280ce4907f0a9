//! The size of an output's buffer, and the items that a full buffer drops. Pure.
//!
//! Applications pass it to stage builders; the exchange keeps one buffer for each partition.

use std::collections::VecDeque;

/// How many items without a request an output buffers, and which of them a full buffer keeps.
///
/// 10,000 items by default, of which the last are kept, as in GenStage. A queue's `push` waits for room and `try_push`
/// rejects the item, so neither drops any; `force_push` does not wait, and returns the dropped item. A producer or a source
/// drops items only when it returns more than were requested.
///
/// A buffer of size 0 keeps nothing: an item is accepted only when a subscriber has requested it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub(crate) size: usize,
    pub(crate) keep: Keep,
}

/// The items that a full buffer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It keeps the oldest items and drops the new one.
    First,
    /// It keeps the newest items and drops the oldest.
    Last,
}

impl Buffer {
    /// Buffers `size` items; a full buffer keeps the oldest.
    pub fn keep_first(size: usize) -> Self {
        Buffer { size, keep: Keep::First }
    }

    /// Buffers `size` items; a full buffer keeps the newest.
    pub fn keep_last(size: usize) -> Self {
        Buffer { size, keep: Keep::Last }
    }

    /// Returns how many items it has room for.
    pub fn size(self) -> usize {
        self.size
    }

    /// Returns which items a full buffer keeps.
    pub fn keep(self) -> Keep {
        self.keep
    }

    /// Adds an item to a buffer of this size. Returns the dropped item: the oldest one, or the item itself.
    pub(crate) fn force<T>(self, buffered: &mut VecDeque<T>, item: T) -> Option<T> {
        if buffered.len() < self.size {
            buffered.push_back(item);
            return None;
        }
        match (self.keep, buffered.pop_front()) {
            (Keep::Last, Some(oldest)) => {
                buffered.push_back(item);
                Some(oldest)
            }
            (Keep::First, Some(oldest)) => {
                buffered.push_front(oldest);
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
        let mut buffered = VecDeque::new();
        let dropped = items.filter_map(|item| buffer.force(&mut buffered, item)).collect();
        (buffered.into(), dropped)
    }

    #[test]
    fn a_full_buffer_that_keeps_the_last_drops_the_oldest() {
        assert_eq!(fill(Buffer::keep_last(3), 0..5), (vec![2, 3, 4], vec![0, 1]));
    }

    #[test]
    fn a_full_buffer_that_keeps_the_first_drops_the_new_item() {
        assert_eq!(fill(Buffer::keep_first(3), 0..5), (vec![0, 1, 2], vec![3, 4]));
    }

    #[test]
    fn a_buffer_of_size_0_keeps_nothing() {
        assert_eq!(fill(Buffer::keep_last(0), 0..2), (vec![], vec![0, 1]));
    }
}
