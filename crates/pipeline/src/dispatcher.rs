//! Which subscriber gets an item. Pure.
//!
//! Called by builders, which take it from users, and by the exchange.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// How a producer's items are spread over its subscribers.
pub(crate) enum Dispatcher<T> {
    /// Each item to one: whoever has asked for most.
    Demand,
    /// Each item to all, at the pace of the slowest.
    Broadcast {
        /// Makes a subscriber's own item.
        clone: fn(&T) -> T,
    },
    /// Each item to the subscribers of its partition.
    Partition {
        /// How many there are.
        partitions: usize,
        /// Which one an item belongs to.
        choose: Box<dyn Fn(&T) -> u64 + Send + Sync>,
    },
}

impl<T> Dispatcher<T> {
    /// How many queues it needs.
    pub(crate) fn partitions(&self) -> usize {
        match self {
            Dispatcher::Demand | Dispatcher::Broadcast { .. } => 1,
            Dispatcher::Partition { partitions, .. } => *partitions,
        }
    }

    /// The queue that an item belongs to.
    pub(crate) fn partition(&self, item: &T) -> usize {
        match self {
            Dispatcher::Demand | Dispatcher::Broadcast { .. } => 0,
            Dispatcher::Partition { partitions, choose } => (choose(item) % *partitions as u64) as usize,
        }
    }
}

/// A hash of a key, for choosing a partition by: the same in all processes that were built by the same compiler.
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
