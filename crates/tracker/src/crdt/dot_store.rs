//! The dot store of one replica: its live presences, with their causal context.
//!
//! The context contains the dots of all changes that a node has received. A dot in the context without a presence is a
//! presence that has left, or a leave. The full state of a replica, the changes of a period and one part of a large
//! transfer are all dot stores, so there is one merge. It is commutative, associative and idempotent, because each dot
//! passes through three states in one direction: unknown, live, removed.
//!
//! Only the replica itself creates dots and removes its presences, so two stores of one replica never conflict.

use super::dot_set::DotSet;
use super::record::PresenceRecord;
use std::collections::BTreeMap;

/// Invariant: the context contains the dot of each presence.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DotStore {
    /// The causal context.
    pub(crate) context: DotSet,
    /// The live presences by dot.
    pub(crate) presences: BTreeMap<u64, PresenceRecord>,
}

/// The presences that a merge added and removed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) joined: Vec<PresenceRecord>,
    pub(crate) left: Vec<PresenceRecord>,
}

impl DotStore {
    /// Merges another store of the same replica. The cost depends on the size of `other`, not of this store.
    pub(crate) fn merge(&mut self, other: DotStore) -> Changes {
        let mut changes = Changes::default();
        for (first, last) in other.context.ranges() {
            let removed = self.presences.range(first..=last).map(|(dot, _)| *dot);
            let removed: Vec<u64> = removed.filter(|dot| !other.presences.contains_key(dot)).collect();
            changes.left.extend(removed.iter().filter_map(|dot| self.presences.remove(dot)));
        }
        for (dot, presence) in other.presences {
            if !self.context.contains(dot) {
                changes.joined.push(presence.clone());
                self.presences.insert(dot, presence);
            }
        }
        self.context.union(&other.context);
        changes
    }
}
