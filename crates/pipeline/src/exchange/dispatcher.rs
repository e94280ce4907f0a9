//! How an output's items are spread over its subscribers. Pure.
//!
//! Stage builders make a dispatcher from the application's options; the exchange delivers by it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// How an output chooses the receivers of an item.
pub(crate) enum Dispatcher<T> {
    /// Each item to the one subscriber that has requested most.
    Demand,
    /// Each item to all subscribers, at the pace of the slowest.
    Broadcast {
        /// Makes a subscriber's own item.
        clone: fn(&T) -> T,
    },
    /// Each item to a subscriber of its partition.
    Partition {
        /// The number of partitions.
        partitions: usize,
        /// Returns a number for an item: its partition is the remainder.
        choose: Box<dyn Fn(&T) -> u64 + Send + Sync>,
    },
}

impl<T> Dispatcher<T> {
    /// Returns the number of partitions, 1 without a partition dispatcher.
    pub(crate) fn partitions(&self) -> usize {
        match self {
            Dispatcher::Demand | Dispatcher::Broadcast { .. } => 1,
            Dispatcher::Partition { partitions, .. } => *partitions,
        }
    }

    /// Returns the partition that an item belongs to.
    pub(crate) fn partition(&self, item: &T) -> usize {
        match self {
            Dispatcher::Demand | Dispatcher::Broadcast { .. } => 0,
            Dispatcher::Partition { partitions, choose } => (choose(item) % *partitions as u64) as usize,
        }
    }
}

/// Returns a hash of a key, to choose a partition by. It is the same in all processes that one compiler has built.
///
/// ```
/// use bennu_pipeline::hash;
///
/// assert_eq!(hash(&"user:1"), hash(&"user:1"));
/// ```
pub fn hash<K: Hash + ?Sized>(key: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
