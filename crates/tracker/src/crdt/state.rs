//! The state of a shard: the local replica's dot store, which only this node changes, and a copy of each other's.
//!
//! `join`, `update` and `leave` give each change the next dot. [`State::delta`] computes a delta of the local store,
//! which another node's state merges. An update is never concurrent with another one of the same presence, because a
//! presence has one replica.
//!
//! **Closed deltas.** A removal has a dot of its own. A node whose context contains the dot of a removal must also have
//! removed the presence; otherwise a later merge could complete the context without ever removing it. A delta that
//! covers the dot of a removal therefore covers the dot of the removed presence too. [`State::delta`] keeps this
//! invariant, and property tests check it.

use super::dot_set::DotSet;
use super::dot_store::{Changes, DotStore};
use super::record::PresenceRecord;
use super::replica::Replica;
use super::tombstone::TombstoneLog;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

pub(crate) struct State {
    replica: Replica,
    /// The dot of the latest local change.
    clock: u64,
    local: DotStore,
    tombstones: TombstoneLog,
    remotes: BTreeMap<Replica, Remote>,
}

/// The copy of another replica's store.
#[derive(Default)]
struct Remote {
    store: DotStore,
    /// Whether its presences are listed. They are kept and not listed while the replica is down.
    up: bool,
}

/// The largest delta that [`State::delta`] computes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeltaLimit {
    /// The approximate size of the presences as JSON. The first presence is included even if it is larger.
    pub(crate) bytes: usize,
    /// The number of tombstones.
    pub(crate) tombstones: usize,
}

/// A delta of the local store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delta {
    /// The delta covers the dots after this one,
    pub(crate) from: u64,
    /// up to and including this one.
    pub(crate) until: u64,
    /// The next delta of the transfer must contain the removals after this dot: a receiver that has merged all deltas
    /// up to `until` has the store's first `until` dots as they were at this dot.
    pub(crate) since: u64,
    pub(crate) store: DotStore,
}

impl State {
    /// `tombstones` is the capacity of the tombstone log.
    pub(crate) fn new(replica: Replica, tombstones: usize) -> Self {
        State {
            replica,
            clock: 0,
            local: DotStore::default(),
            tombstones: TombstoneLog::new(tombstones),
            remotes: BTreeMap::new(),
        }
    }

    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// Adds a local presence.
    pub(crate) fn join(&mut self, topic: Arc<str>, key: Arc<str>, meta: Arc<RawValue>) -> PresenceRecord {
        self.add(0, topic, key, meta)
    }

    /// Replaces a local presence. Returns the old record and the new one.
    pub(crate) fn update(&mut self, dot: u64, meta: Arc<RawValue>) -> Option<(PresenceRecord, PresenceRecord)> {
        let old = self.local.presences.get(&dot)?.clone();
        // A join and then a leave, each with a dot. With one dot for both, a removed presence's dot would imply that
        // the presence it replaced was removed too, and deltas would have to contain the whole chain of updates.
        let new = self.add(dot, old.topic().clone(), old.key().clone(), meta);
        self.leave(dot);
        Some((old, new))
    }

    /// Removes a local presence.
    pub(crate) fn leave(&mut self, dot: u64) -> Option<PresenceRecord> {
        let left = self.local.presences.remove(&dot)?;
        let removal = self.next_dot();
        self.tombstones.push(removal, dot);
        Some(left)
    }

    /// Returns a local presence.
    pub(crate) fn get(&self, dot: u64) -> Option<&PresenceRecord> {
        self.local.presences.get(&dot)
    }

    fn add(&mut self, previous: u64, topic: Arc<str>, key: Arc<str>, meta: Arc<RawValue>) -> PresenceRecord {
        let dot = self.next_dot();
        let presence = PresenceRecord::new(&self.replica, dot, previous, topic, key, meta);
        self.local.presences.insert(dot, presence.clone());
        presence
    }

    fn next_dot(&mut self) -> u64 {
        self.clock += 1;
        self.local.context.insert(self.clock, self.clock);
        self.clock
    }

    /// Computes the delta of the local changes after the dot `from`, up to `limit`.
    ///
    /// The receiver's copy must contain all dots up to `from` and, of the presences among them, all removals up to the
    /// dot `since`. When the log no longer contains every removal after `since`, the delta begins anew: its `from` is
    /// 0.
    pub(crate) fn delta(&self, from: u64, since: u64, limit: DeltaLimit) -> Delta {
        let (from, since) = match self.tombstones.reaches(since) {
            true => (from.min(self.clock), since.min(self.clock)),
            false => (0, self.clock),
        };
        let until = self.delta_end(from, since, limit);
        let mut context = DotSet::range(from + 1, until);
        for (_, removed) in self.removals_before(from, since).take_while(|(removal, _)| *removal <= until) {
            context.insert(removed, removed);
        }
        let presences = self.local.presences.range((Excluded(from), Included(until)));
        let presences = presences.map(|(dot, presence)| (*dot, presence.clone())).collect();
        // A delta that contains all removals in its range is as recent as its end. The deltas of a full state contain
        // only later removals, so they stay as old as the first of them.
        let since = if since <= from { until } else { since };
        Delta { from, until, since, store: DotStore { context, presences } }
    }

    /// Returns the removals after `from` and `since` of presences that joined at `from` or before.
    fn removals_before(&self, from: u64, since: u64) -> impl Iterator<Item = (u64, u64)> {
        self.tombstones.after(from.max(since)).filter(move |(_, removed)| *removed <= from)
    }

    /// Returns the last dot of a delta within the limit. It is after `from`, unless `from` is the clock.
    fn delta_end(&self, from: u64, since: u64, limit: DeltaLimit) -> u64 {
        let mut until = self.clock;
        let mut bytes = 0;
        for (dot, presence) in self.local.presences.range(from + 1..) {
            let size = presence.size();
            if bytes > 0 && bytes + size > limit.bytes {
                until = dot - 1;
                break;
            }
            bytes += size;
        }
        match self.removals_before(from, since).nth(limit.tombstones) {
            Some((removal, _)) => until.min(removal - 1),
            None => until,
        }
    }

    /// Merges a delta into the copy of another replica. Returns no changes while that replica is down or unknown.
    pub(crate) fn merge(&mut self, replica: &Replica, delta: DotStore) -> Changes {
        let Some(remote) = self.remotes.get_mut(replica) else { return Changes::default() };
        let changes = remote.store.merge(delta);
        if remote.up { changes } else { Changes::default() }
    }

    /// Returns the dot up to which the copy of another replica is complete.
    pub(crate) fn complete_until(&self, replica: &Replica) -> u64 {
        self.remotes.get(replica).map_or(0, |remote| remote.store.context.complete_until())
    }

    /// Marks a replica as up. Returns the presences that are listed from now on.
    pub(crate) fn up(&mut self, replica: &Replica) -> Vec<PresenceRecord> {
        let remote = self.remotes.entry(replica.clone()).or_default();
        match std::mem::replace(&mut remote.up, true) {
            true => Vec::new(),
            false => remote.store.presences.values().cloned().collect(),
        }
    }

    /// Marks a replica as down; its copy is kept. Returns the presences that are no longer listed.
    pub(crate) fn down(&mut self, replica: &Replica) -> Vec<PresenceRecord> {
        let Some(remote) = self.remotes.get_mut(replica) else { return Vec::new() };
        match std::mem::replace(&mut remote.up, false) {
            true => remote.store.presences.values().cloned().collect(),
            false => Vec::new(),
        }
    }

    /// Drops the copy of a replica. Returns the presences that are no longer listed.
    pub(crate) fn remove(&mut self, replica: &Replica) -> Vec<PresenceRecord> {
        match self.remotes.remove(replica) {
            Some(remote) if remote.up => remote.store.presences.into_values().collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
