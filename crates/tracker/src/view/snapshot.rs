//! Snapshots of a topic's presences, as [`crate::Tracker::list`] returns them.

use super::topic_presences::TopicPresences;
use crate::crdt::PresenceRecord;

/// The presences at a topic at one moment. Cloning is cheap. A snapshot does not change and holds no lock.
#[derive(Clone)]
pub struct PresenceSnapshot {
    presences: TopicPresences,
}

impl PresenceSnapshot {
    pub(crate) fn new(presences: TopicPresences) -> Self {
        PresenceSnapshot { presences }
    }

    /// Iterates over the presences, sorted by key, then by node, then in the order of joining.
    pub fn iter(&self) -> impl Iterator<Item = &PresenceRecord> {
        self.presences.iter()
    }

    /// Iterates over the presences with this key.
    pub fn by_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a PresenceRecord> + use<'a> {
        self.presences.by_key(key)
    }

    /// Returns the number of presences.
    pub fn len(&self) -> usize {
        self.presences.len()
    }

    /// Returns whether the topic had no presence.
    pub fn is_empty(&self) -> bool {
        self.presences.len() == 0
    }

    /// Returns the number of different keys.
    pub fn key_count(&self) -> usize {
        self.presences.key_count()
    }
}

impl std::fmt::Debug for PresenceSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
