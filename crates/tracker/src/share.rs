//! What is known of one replica's presences: the lattice that everything else rests on.
//!
//! A share is a set of dots that are known, and the presences that live among them. A known dot without a presence has
//! left. The whole of what a replica has, what changed in a period, and one piece of a large transfer are all shares;
//! merging is one operation. It is commutative, associative and idempotent, because per dot there are three states in a
//! row: unknown, alive, gone.
//!
//! Only the replica itself makes dots and lets its presences go, so a share never conflicts with another.

use crate::dots::Dots;
use crate::presence::Presence;
use std::collections::BTreeMap;

/// Invariant: the dot of each presence is among the known ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Share {
    pub(crate) dots: Dots,
    pub(crate) presences: BTreeMap<u64, Presence>,
}

/// What a merge brought about.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) joined: Vec<Presence>,
    pub(crate) left: Vec<Presence>,
}

impl Share {
    /// Takes over whatever the other knows. Costs what the other covers, not what this one holds.
    pub(crate) fn merge(&mut self, other: Share) -> Changes {
        let mut changes = Changes::default();
        for (first, last) in other.dots.ranges() {
            let gone = self.presences.range(first..=last).map(|(dot, _)| *dot);
            let gone: Vec<u64> = gone.filter(|dot| !other.presences.contains_key(dot)).collect();
            changes.left.extend(gone.iter().filter_map(|dot| self.presences.remove(dot)));
        }
        for (dot, presence) in other.presences {
            if !self.dots.contains(dot) {
                changes.joined.push(presence.clone());
                self.presences.insert(dot, presence);
            }
        }
        self.dots.union(&other.dots);
        changes
    }
}
