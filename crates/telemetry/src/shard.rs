//! Numbers that many threads add to without meeting: each thread adds to a shard, on a cache line of its own, and who reads
//! adds the shards up.
//!
//! Threads that add to one and the same number wait for its cache line with each message.

use metrics::CounterFn;
use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// As many threads as add without meeting; more share.
pub(crate) const SHARDS: usize = 8;

/// The shard of this thread. Threads take turns.
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SHARD.with(|shard| {
        shard.get().unwrap_or_else(|| {
            let taken = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            shard.set(Some(taken));
            taken
        })
    })
}

/// Aligned to two cache lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// A counter: 1 KiB.
#[derive(Debug)]
pub(crate) struct Count([Padded<AtomicU64>; SHARDS]);

impl Count {
    pub(crate) fn new() -> Self {
        Count(array::from_fn(|_| Padded::default()))
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }
}

impl CounterFn for Count {
    fn increment(&self, by: u64) {
        self.0[shard()].0.fetch_add(by, Ordering::Relaxed);
    }

    /// For counters that are only ever set, as those of the process.
    fn absolute(&self, value: u64) {
        self.0[0].0.fetch_max(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_many_threads_add_is_all_there() {
        let count = Arc::new(Count::new());
        let add = |_| {
            let count = count.clone();
            std::thread::spawn(move || (0..1000).for_each(|n| count.increment(n % 3)))
        };
        let threads: Vec<_> = (0..2 * SHARDS).map(add).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(count.read(), 2 * SHARDS as u64 * 999);
    }

    #[test]
    fn a_counter_that_is_set_never_goes_back() {
        let count = Count::new();
        [5, 3, 7].into_iter().for_each(|value| count.absolute(value));
        assert_eq!(count.read(), 7);
    }
}
