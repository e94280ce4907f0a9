//! What readers see: the roster of each topic of one shard.
//!
//! Written by the [`crate::shard`], read by [`crate::Tracker`] from any thread. A reader holds the lock while it finds
//! the topic and clones a pointer; a writer while it makes at most [`BATCH`] changes. Neither waits for the other's
//! list.

use crate::presence::Presence;
use crate::roster::Roster;
use crate::telemetry;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Changes under one lock: some 100 µs.
const BATCH: usize = 256;

/// Invariant: a topic without presences is not in it.
#[derive(Default)]
pub(crate) struct View {
    topics: RwLock<HashMap<Arc<str>, Roster>>,
}

impl View {
    pub(crate) fn roster(&self, topic: &str) -> Roster {
        self.topics.read().get(topic).cloned().unwrap_or_default()
    }

    /// Presences and keys of a topic.
    pub(crate) fn counts(&self, topic: &str) -> (usize, usize) {
        self.topics.read().get(topic).map_or((0, 0), |roster| (roster.len(), roster.keys()))
    }

    pub(crate) fn topic_count(&self) -> usize {
        self.topics.read().len()
    }

    /// The topic's name, if somebody is there: one allocation for all of its presences.
    pub(crate) fn name(&self, topic: &str) -> Option<Arc<str>> {
        self.topics.read().get_key_value(topic).map(|(name, _)| name.clone())
    }

    /// Joins come first, so that a key with an updated presence is never seen without one.
    pub(crate) fn apply(&self, joined: &[Presence], left: &[Presence]) {
        for batch in joined.chunks(BATCH) {
            let mut topics = self.topics.write();
            for presence in batch {
                match topics.get_mut(&**presence.topic()) {
                    Some(roster) => roster.insert(presence.clone()),
                    None => topics.entry(presence.topic().clone()).or_default().insert(presence.clone()),
                }
            }
        }
        for batch in left.chunks(BATCH) {
            let mut topics = self.topics.write();
            for presence in batch {
                let Some(roster) = topics.get_mut(&**presence.topic()) else { continue };
                roster.remove(presence);
                if roster.len() == 0 {
                    topics.remove(&**presence.topic());
                    if topics.len() * 4 < topics.capacity() {
                        topics.shrink_to_fit();
                    }
                }
            }
        }
        telemetry::presences(joined.len(), left.len());
    }

    /// Replaces one presence: no reader sees both or neither.
    pub(crate) fn replace(&self, old: &Presence, new: Presence) {
        if let Some(roster) = self.topics.write().get_mut(&**old.topic()) {
            roster.remove(old);
            roster.insert(new);
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let held = self.topics.get_mut().values().map(Roster::len).sum();
        telemetry::presences(0, held);
    }
}
