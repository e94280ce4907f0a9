//! The tombstone log: the latest removals of the local replica's presences.
//!
//! A delta of the changes after some dot contains the presences that joined after it, which the dot store still has,
//! and the removals after it, which only this log has. With both, the delta from any dot that is not older than the log
//! is exact. Deltas of past periods are therefore not kept.

use std::collections::VecDeque;

/// A bounded log of tombstones, sorted by the dot of the removal.
pub(crate) struct TombstoneLog {
    tombstones: VecDeque<Tombstone>,
    capacity: usize,
    /// The log contains all removals after this dot.
    floor: u64,
}

#[derive(Clone, Copy)]
struct Tombstone {
    /// The dot of the removal itself.
    removal: u64,
    /// The dot of the removed presence.
    removed: u64,
}

impl TombstoneLog {
    pub(crate) fn new(capacity: usize) -> Self {
        TombstoneLog { tombstones: VecDeque::new(), capacity, floor: 0 }
    }

    /// Appends a removal; drops the oldest one when the log is full.
    pub(crate) fn push(&mut self, removal: u64, removed: u64) {
        self.tombstones.push_back(Tombstone { removal, removed });
        if self.tombstones.len() > self.capacity {
            let oldest = self.tombstones.pop_front().expect("one was just pushed");
            self.floor = oldest.removal;
        }
    }

    /// Returns whether the log contains every removal after this dot.
    pub(crate) fn reaches(&self, since: u64) -> bool {
        since >= self.floor
    }

    /// Returns the removals after `since`, oldest first, as `(removal, removed)`.
    pub(crate) fn after(&self, since: u64) -> impl Iterator<Item = (u64, u64)> {
        let start = self.tombstones.partition_point(|tombstone| tombstone.removal <= since);
        self.tombstones.range(start..).map(|tombstone| (tombstone.removal, tombstone.removed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_drops_its_oldest_tombstone_and_reports_how_far_it_reaches() {
        let mut log = TombstoneLog::new(2);
        assert!(log.reaches(0));
        for removal in [10, 20, 30] {
            log.push(removal, removal - 5);
        }
        assert!(!log.reaches(9) && log.reaches(10));
        assert_eq!(log.after(10).collect::<Vec<_>>(), [(20, 15), (30, 25)]);
        assert_eq!(log.after(20).collect::<Vec<_>>(), [(30, 25)]);
        assert_eq!(log.after(30).count(), 0);
    }
}
