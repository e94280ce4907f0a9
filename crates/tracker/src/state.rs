//! The replicated state: this node's own share, which it alone changes, and a copy of each other replica's.
//!
//! Pure: no clock, no I/O. [`crate::shard`] drives it. A delta CRDT, an observed-remove set with a causal context for
//! each replica: `join`, `update` and `leave` tag what they do with the next dot; `extract` cuts out a piece that
//! another state can `merge`. Of two updates of one presence none can be concurrent, for it has one owner.
//!
//! **Closed pieces.** A leave takes a dot too. Whoever knows that dot must know that the presence is gone, or a later
//! merge could complete its context and never remove it. So a piece that covers the dot of a leave also covers the dot
//! of what left. [`State::extract`] keeps this, and the property tests check it.

use crate::dots::Dots;
use crate::history::History;
use crate::presence::Presence;
use crate::replica::Replica;
use crate::share::{Changes, Share};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

pub(crate) struct State {
    me: Replica,
    /// The last dot that was given away.
    clock: u64,
    own: Share,
    history: History,
    others: BTreeMap<Replica, Copy>,
}

/// What is known here of another replica.
#[derive(Default)]
struct Copy {
    share: Share,
    /// Whether its presences count: they do not while the replica is down.
    up: bool,
}

/// How much [`State::extract`] may put into one piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of presences, as JSON, roughly. One presence is taken whatever its size.
    pub(crate) bytes: usize,
    /// Departures.
    pub(crate) departures: usize,
}

/// A piece of this node's own share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// It covers the dots after this one,
    pub(crate) from: u64,
    /// up to and with this one.
    pub(crate) until: u64,
    /// The next piece must bring the departures after this dot: the state that `..= until` is taken from is that old.
    pub(crate) since: u64,
    pub(crate) share: Share,
}

impl State {
    /// `departures` is how many are remembered for ranges.
    pub(crate) fn new(me: Replica, departures: usize) -> Self {
        State { me, clock: 0, own: Share::default(), history: History::new(departures), others: BTreeMap::new() }
    }

    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    pub(crate) fn join(&mut self, topic: Arc<str>, key: Arc<str>, meta: Arc<RawValue>) -> Presence {
        self.add(0, topic, key, meta)
    }

    /// Replaces one of this node's own presences: `(old, new)`.
    pub(crate) fn update(&mut self, dot: u64, meta: Arc<RawValue>) -> Option<(Presence, Presence)> {
        let old = self.own.presences.get(&dot)?.clone();
        // A join and then a leave, with a dot each: were they one, the dot of a presence that has left would say that
        // what it replaced has left, too, and pieces would have to bring the whole chain of updates.
        let new = self.add(dot, old.topic().clone(), old.key().clone(), meta);
        self.leave(dot);
        Some((old, new))
    }

    pub(crate) fn leave(&mut self, dot: u64) -> Option<Presence> {
        let left = self.own.presences.remove(&dot)?;
        let at = self.tick();
        self.history.push(at, dot);
        Some(left)
    }

    /// One of this node's own.
    pub(crate) fn get(&self, dot: u64) -> Option<&Presence> {
        self.own.presences.get(&dot)
    }

    fn add(&mut self, previous: u64, topic: Arc<str>, key: Arc<str>, meta: Arc<RawValue>) -> Presence {
        let dot = self.tick();
        let presence = Presence::new(&self.me, dot, previous, topic, key, meta);
        self.own.presences.insert(dot, presence.clone());
        presence
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.own.dots.insert(self.clock, self.clock);
        self.clock
    }

    /// What changed after the dot `from`, as far as there is room; for somebody whose knowledge up to `from` is at
    /// least as fresh as this node's was at `since`. When the departures since then are no longer remembered, it starts
    /// over: its `from` is 0.
    pub(crate) fn extract(&self, from: u64, since: u64, room: Room) -> Piece {
        let (from, since) = match self.history.reaches(since) {
            true => (from.min(self.clock), since.min(self.clock)),
            false => (0, self.clock),
        };
        let until = self.room_until(from, since, room);
        let mut dots = Dots::range(from + 1, until);
        for (_, gone) in self.departures(from, since).take_while(|(at, _)| *at <= until) {
            dots.insert(gone, gone);
        }
        let presences = self.own.presences.range((Excluded(from), Included(until)));
        let presences = presences.map(|(dot, presence)| (*dot, presence.clone())).collect();
        // A range brings its own departures, so it is as fresh as its end. A snapshot stays as old as its first piece.
        let since = if since <= from { until } else { since };
        Piece { from, until, since, share: Share { dots, presences } }
    }

    /// What left the first `from` dots, and was not yet known at `since`.
    fn departures(&self, from: u64, since: u64) -> impl Iterator<Item = (u64, u64)> {
        self.history.after(from.max(since)).filter(move |(_, gone)| *gone <= from)
    }

    /// The last dot that fits, which is after `from` unless that is the clock.
    fn room_until(&self, from: u64, since: u64, room: Room) -> u64 {
        let mut until = self.clock;
        let mut bytes = 0;
        for (dot, presence) in self.own.presences.range(from + 1..) {
            let size = presence.size();
            if bytes > 0 && bytes + size > room.bytes {
                until = dot - 1;
                break;
            }
            bytes += size;
        }
        match self.departures(from, since).nth(room.departures) {
            Some((at, _)) => until.min(at - 1),
            None => until,
        }
    }
    /// Takes over what a piece of another replica's share says. Nothing is reported while that replica is down.
    pub(crate) fn merge(&mut self, replica: &Replica, share: Share) -> Changes {
        let Some(copy) = self.others.get_mut(replica) else { return Changes::default() };
        let changes = copy.share.merge(share);
        if copy.up { changes } else { Changes::default() }
    }

    /// The dot up to which all of another replica's changes are known.
    pub(crate) fn complete_until(&self, replica: &Replica) -> u64 {
        self.others.get(replica).map_or(0, |copy| copy.share.dots.complete_until())
    }

    /// A replica appeared, or is back: its presences count, and are returned.
    pub(crate) fn up(&mut self, replica: &Replica) -> Vec<Presence> {
        let copy = self.others.entry(replica.clone()).or_default();
        match std::mem::replace(&mut copy.up, true) {
            true => Vec::new(),
            false => copy.share.presences.values().cloned().collect(),
        }
    }

    /// A replica is silent: its presences are kept and do not count. Those that did are returned.
    pub(crate) fn down(&mut self, replica: &Replica) -> Vec<Presence> {
        let Some(copy) = self.others.get_mut(replica) else { return Vec::new() };
        match std::mem::replace(&mut copy.up, false) {
            true => copy.share.presences.values().cloned().collect(),
            false => Vec::new(),
        }
    }

    /// A replica is gone for good. Its presences that still counted are returned.
    pub(crate) fn remove(&mut self, replica: &Replica) -> Vec<Presence> {
        match self.others.remove(replica) {
            Some(copy) if copy.up => copy.share.presences.into_values().collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
