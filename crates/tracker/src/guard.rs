//! The guard of a presence that this node tracks.
//!
//! [`crate::Tracker::track`] returns a guard; its drop removes the presence. An update gives the presence a new dot,
//! which the guard stores under the shard's lock, so the stored dot always identifies a live presence.

use crate::crdt::{PresenceRecord, Reference};
use crate::shard::ShardDriver;
use crate::validation::{TrackError, encode_meta};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A presence of this node. Dropping the guard removes the presence, on this node at once, on others within a broadcast
/// period.
#[must_use = "dropping the guard removes the presence"]
pub struct PresenceGuard {
    shard: Arc<ShardDriver>,
    /// The dot of the presence, which changes with each update. Written under the shard's lock.
    dot: AtomicU64,
    /// Keeps the tracker running for as long as the presence exists.
    _tracker: Arc<dyn Send + Sync>,
}

impl PresenceGuard {
    pub(crate) fn new(tracker: Arc<dyn Send + Sync>, shard: Arc<ShardDriver>, dot: u64) -> Self {
        PresenceGuard { shard, dot: AtomicU64::new(dot), _tracker: tracker }
    }

    /// Returns the current reference of the presence. Each update changes it.
    pub fn reference(&self) -> Reference {
        self.shard.replica().reference(self.dot.load(Ordering::Acquire))
    }

    /// Returns the current record of the presence.
    pub fn record(&self) -> PresenceRecord {
        self.shard.call(|shard, _| {
            let presence = shard.get(self.dot.load(Ordering::Acquire));
            presence.expect("a presence exists for as long as its guard").clone()
        })
    }

    /// Replaces the meta of the presence. Returns the new reference.
    ///
    /// # Errors
    /// As [`Tracker::track`](crate::Tracker::track); the presence is then unchanged.
    pub fn update(&self, meta: &(impl Serialize + ?Sized)) -> Result<Reference, TrackError> {
        let meta = encode_meta(meta)?;
        self.shard.call(|shard, now| {
            let new = shard.update(now, self.dot.load(Ordering::Acquire), meta).ok_or(TrackError::Left)?;
            self.dot.store(new.dot(), Ordering::Release);
            Ok(new.reference())
        })
    }

    /// Replaces the meta of the presence by a function of the current meta. Returns the new reference.
    ///
    /// `change` runs without a lock. It runs again when another update of the same presence was applied in between.
    ///
    /// # Errors
    /// As [`Tracker::track`](crate::Tracker::track); the presence is then unchanged.
    pub fn update_with(&self, change: impl Fn(Value) -> Value) -> Result<Reference, TrackError> {
        loop {
            let old = self.record();
            let meta = encode_meta(&change(old.meta_as()?))?;
            let updated = self.shard.call(|shard, now| {
                if self.dot.load(Ordering::Acquire) != old.dot() {
                    return None;
                }
                let new = shard.update(now, old.dot(), meta);
                Some(new.ok_or(TrackError::Left).map(|new| {
                    self.dot.store(new.dot(), Ordering::Release);
                    new.reference()
                }))
            });
            if let Some(outcome) = updated {
                return outcome;
            }
        }
    }

    /// Removes the presence, as dropping the guard does.
    pub fn untrack(self) {}
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        let dot = *self.dot.get_mut();
        self.shard.call(|shard, now| shard.untrack(now, dot));
    }
}

impl fmt::Debug for PresenceGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresenceGuard({})", self.reference())
    }
}
