//! Sharded numbers, which many threads add to without contention: each thread adds to one shard, on a cache line of its
//! own, and a reader sums the shards.
//!
//! Threads that added to one shared number would wait for its cache line with each message.

use metrics::CounterFn;
use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The number of threads that add without contention; more threads share shards.
pub(crate) const SHARDS: usize = 8;

/// Returns the shard of this thread. Threads are assigned to shards in turn.
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SHARD.with(|shard| {
        shard.get().unwrap_or_else(|| {
            let assigned = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            shard.set(Some(assigned));
            assigned
        })
    })
}

/// Aligned to two cache lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// A sharded counter: 1 KiB.
#[derive(Debug)]
pub(crate) struct ShardedCounter([CachePadded<AtomicU64>; SHARDS]);

impl ShardedCounter {
    pub(crate) fn new() -> Self {
        ShardedCounter(array::from_fn(|_| CachePadded::default()))
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }
}

impl CounterFn for ShardedCounter {
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
    fn the_total_contains_the_additions_of_all_threads() {
        let counter = Arc::new(ShardedCounter::new());
        let add = |_| {
            let counter = counter.clone();
            std::thread::spawn(move || (0..1000).for_each(|n| counter.increment(n % 3)))
        };
        let threads: Vec<_> = (0..2 * SHARDS).map(add).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counter.total(), 2 * SHARDS as u64 * 999);
    }

    #[test]
    fn a_counter_that_is_set_never_decreases() {
        let counter = ShardedCounter::new();
        [5, 3, 7].into_iter().for_each(|value| counter.absolute(value));
        assert_eq!(counter.total(), 7);
    }
}
