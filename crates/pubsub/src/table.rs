//! The topic table of one node: the subscribers of each topic.
//!
//! [`crate::PubSub`] and [`crate::Inbox`] call it. Invariants: a topic without subscribers is not in the table; a
//! delivery holds only the lock of its topic, so subscribing to another topic never waits for a broadcast; a sink must
//! not call back into the table.

use crate::{Adapter, Publication};
use parking_lot::{Mutex, RwLock};
use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A subscriber. The publisher's task calls it, so it may only pass the message on (to a queue); it must neither wait
/// nor call back into the [`crate::PubSub`].
pub trait Sink: Send + Sync {
    /// Takes one message of a topic to which this sink is subscribed.
    fn deliver(&self, publication: &Publication);

    /// Returns the metadata that [`crate::PubSub::local_broadcast_where`] filters by.
    fn metadata(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}

/// Identifies one subscription on its node, to exclude it from a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

impl SubscriberId {
    /// The id of no subscription: it excludes none.
    pub const NONE: SubscriberId = SubscriberId(0);
}

/// Locks are taken in the order shard, topic. With 64 shards, joins on different topics rarely wait for each other.
const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, Arc<Topic>>;

pub(crate) struct Table {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    next_id: AtomicU64,
}

pub(crate) struct Topic {
    name: Arc<str>,
    subscribers: RwLock<HashMap<u64, Arc<dyn Sink>>>,
    /// For the drop of an attachment: stored once a topic and not in each attachment.
    table: Weak<Table>,
    adapter: Weak<dyn Adapter>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next_id: AtomicU64::new(1),
        }
    }

    fn shard(&self, topic: &str) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(topic) as usize % SHARDS]
    }

    pub(crate) fn attach(self: &Arc<Self>, adapter: &Arc<dyn Adapter>, topic: &str, sink: Arc<dyn Sink>) -> Attachment {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut shard = self.shard(topic).lock();
        let (entry, first) = match shard.get(topic) {
            Some(entry) => (entry.clone(), false),
            None => {
                let name: Arc<str> = topic.into();
                let entry = Arc::new(Topic {
                    name: name.clone(),
                    subscribers: RwLock::default(),
                    table: Arc::downgrade(self),
                    adapter: Arc::downgrade(adapter),
                });
                shard.insert(name, entry.clone());
                (entry, true)
            }
        };
        entry.subscribers.write().insert(id, sink);
        if first {
            // Under the shard's lock, so that the adapter receives the begin and the end of an interest in order.
            adapter.set_interest(topic, true);
        }
        drop(shard);
        Attachment { id: SubscriberId(id), topic: entry }
    }

    fn detach(&self, adapter: Option<&dyn Adapter>, topic: &Topic, id: SubscriberId) {
        let mut shard = self.shard(&topic.name).lock();
        let mut subscribers = topic.subscribers.write();
        let removed = subscribers.remove(&id.0);
        if subscribers.is_empty() {
            shard.remove(&topic.name);
            if let Some(adapter) = adapter {
                adapter.set_interest(&topic.name, false);
            }
        } else if subscribers.len() * 4 < subscribers.capacity() {
            subscribers.shrink_to_fit();
        }
        drop(subscribers);
        drop(shard);
        // Outside the locks, since the drop of a sink may subscribe or publish.
        drop(removed);
    }

    pub(crate) fn deliver(&self, topic: &str, except: SubscriberId, publication: &Publication) -> usize {
        self.deliver_where(topic, except, publication, |_| true)
    }

    pub(crate) fn deliver_where(
        &self,
        topic: &str,
        except: SubscriberId,
        publication: &Publication,
        wanted: impl Fn(&dyn Sink) -> bool,
    ) -> usize {
        self.topic(topic).map_or(0, |entry| entry.deliver_where(except, publication, wanted))
    }

    /// Returns the entry of a topic that has subscribers. A topic that loses all its subscribers gets a new entry with
    /// the next one.
    pub(crate) fn topic(&self, topic: &str) -> Option<Arc<Topic>> {
        self.shard(topic).lock().get(topic).cloned()
    }

    pub(crate) fn subscriber_count(&self, topic: &str) -> usize {
        self.topic(topic).map_or(0, |entry| entry.subscribers.read().len())
    }

    pub(crate) fn topic_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Topic {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Delivers to the wanted subscribers except one, and returns their number.
    pub(crate) fn deliver_where(
        &self,
        except: SubscriberId,
        publication: &Publication,
        wanted: impl Fn(&dyn Sink) -> bool,
    ) -> usize {
        let subscribers = self.subscribers.read();
        let mut delivered = 0;
        for (id, sink) in subscribers.iter() {
            if *id != except.0 && wanted(&**sink) {
                sink.deliver(publication);
                delivered += 1;
            }
        }
        delivered
    }
}

/// A place in the table. Dropping it ends the subscription.
#[must_use = "the subscription ends when this is dropped"]
pub struct Attachment {
    id: SubscriberId,
    topic: Arc<Topic>,
}

impl Attachment {
    /// Returns the id of this subscription, to exclude it from a broadcast.
    pub fn id(&self) -> SubscriberId {
        self.id
    }

    /// Returns the topic; all its subscribers share the allocation.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic.name
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(table) = self.topic.table.upgrade() {
            table.detach(self.topic.adapter.upgrade().as_deref(), &self.topic, self.id);
        }
    }
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({:?}, {})", self.topic.name, self.id.0)
    }
}
