//! The view of a shard: the listed presences of each topic, for readers.
//!
//! The [`crate::shard`] writes the view; [`crate::Tracker`] reads it from any thread. A reader holds the lock while it
//! looks up a topic and clones a pointer, a writer while it makes at most [`BATCH`] changes. A reader that iterates
//! over a list holds no lock.

mod snapshot;
mod topic_presences;

pub use snapshot::PresenceSnapshot;
pub(crate) use topic_presences::TopicPresences;

use crate::crdt::PresenceRecord;
use crate::telemetry;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// The most changes under one lock: about 100 µs.
const BATCH: usize = 256;

/// Invariant: a topic without presences has no entry.
#[derive(Default)]
pub(crate) struct View {
    topics: RwLock<HashMap<Arc<str>, TopicPresences>>,
}

impl View {
    /// Returns the presences of a topic.
    pub(crate) fn presences(&self, topic: &str) -> TopicPresences {
        self.topics.read().get(topic).cloned().unwrap_or_default()
    }

    /// Returns the number of presences and of keys of a topic.
    pub(crate) fn counts(&self, topic: &str) -> (usize, usize) {
        self.topics.read().get(topic).map_or((0, 0), |presences| (presences.len(), presences.key_count()))
    }

    /// Returns the number of topics with a presence.
    pub(crate) fn topic_count(&self) -> usize {
        self.topics.read().len()
    }

    /// Returns the allocation of a topic's name that its presences share; `None` when the topic has no presence.
    pub(crate) fn topic_name(&self, topic: &str) -> Option<Arc<str>> {
        self.topics.read().get_key_value(topic).map(|(name, _)| name.clone())
    }

    /// Adds and removes presences. Joins are applied first, so no reader finds an updated key without a presence.
    pub(crate) fn apply(&self, joined: &[PresenceRecord], left: &[PresenceRecord]) {
        for batch in joined.chunks(BATCH) {
            let mut topics = self.topics.write();
            for presence in batch {
                match topics.get_mut(&**presence.topic()) {
                    Some(presences) => presences.insert(presence.clone()),
                    None => topics.entry(presence.topic().clone()).or_default().insert(presence.clone()),
                }
            }
        }
        for batch in left.chunks(BATCH) {
            let mut topics = self.topics.write();
            for presence in batch {
                let Some(presences) = topics.get_mut(&**presence.topic()) else { continue };
                presences.remove(presence);
                if presences.len() == 0 {
                    topics.remove(&**presence.topic());
                    if topics.len() * 4 < topics.capacity() {
                        topics.shrink_to_fit();
                    }
                }
            }
        }
        telemetry::presences(joined.len(), left.len());
    }

    /// Replaces one presence under one lock, so no reader sees both records or neither.
    pub(crate) fn replace(&self, old: &PresenceRecord, new: PresenceRecord) {
        if let Some(presences) = self.topics.write().get_mut(&**old.topic()) {
            presences.remove(old);
            presences.insert(new);
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let listed = self.topics.get_mut().values().map(TopicPresences::len).sum();
        telemetry::presences(0, listed);
    }
}
