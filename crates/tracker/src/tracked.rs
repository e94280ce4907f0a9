//! The guard of a presence that this node tracks: as long as it lives, somebody is there.

use crate::cell::Cell;
use crate::meta::{TrackError, encode};
use crate::presence::Presence;
use crate::replica::Reference;
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A presence of this node. Dropping it takes the presence away, here at once, elsewhere within a broadcast period.
#[must_use = "the presence goes when this is dropped"]
pub struct Tracked {
    cell: Arc<Cell>,
    /// The presence's dot, which changes with each update. Changed under the shard's lock.
    dot: AtomicU64,
    /// What tracks lives as long as what is tracked.
    _tracker: Arc<dyn Send + Sync>,
}

impl Tracked {
    pub(crate) fn new(tracker: Arc<dyn Send + Sync>, cell: Arc<Cell>, dot: u64) -> Self {
        Tracked { cell, dot: AtomicU64::new(dot), _tracker: tracker }
    }

    /// The reference that it has now; another after each update.
    pub fn reference(&self) -> Reference {
        self.cell.replica().reference(self.dot.load(Ordering::Acquire))
    }

    /// The presence as it is now.
    pub fn presence(&self) -> Presence {
        self.cell.change(|shard, _| {
            let presence = shard.get(self.dot.load(Ordering::Acquire));
            presence.expect("a presence stays for as long as its guard").clone()
        })
    }

    /// Gives it another meta, and so another reference, which is returned.
    ///
    /// # Errors
    /// As [`Tracker::track`](crate::Tracker::track); the presence is then as it was.
    pub fn update(&self, meta: &(impl Serialize + ?Sized)) -> Result<Reference, TrackError> {
        let meta = encode(meta)?;
        self.cell.change(|shard, now| {
            let new = shard.update(now, self.dot.load(Ordering::Acquire), meta).ok_or(TrackError::Left)?;
            self.dot.store(new.dot(), Ordering::Release);
            Ok(new.reference())
        })
    }

    /// Gives it a meta that is made from the one it has.
    ///
    /// `change` runs without a lock, and again when another update came first.
    ///
    /// # Errors
    /// As [`Tracker::track`](crate::Tracker::track); the presence is then as it was.
    pub fn update_with(&self, change: impl Fn(Value) -> Value) -> Result<Reference, TrackError> {
        loop {
            let old = self.presence();
            let meta = encode(&change(old.meta_as()?))?;
            let updated = self.cell.change(|shard, now| {
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

    /// Takes the presence away; the same as dropping the guard.
    pub fn untrack(self) {}
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let dot = *self.dot.get_mut();
        self.cell.change(|shard, now| shard.untrack(now, dot));
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracked({})", self.reference())
    }
}
