//! The addresses at which a node looks for others. Pure.
//!
//! An address is either named, by whoever configured this node or called `connect`, and then never forgotten, or told by
//! another node. Invariants: what was told and cannot be reached is forgotten after [`FORGOTTEN`]; at most [`MOST_TOLD`] are
//! kept of those.

use std::collections::BTreeMap;
use std::time::Duration;

/// After so long without reaching it, an address that another node told is forgotten: as long as a tracker of presence
/// waits until it takes a node for gone for good.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(20 * 60);

/// Addresses of other nodes' telling; zenoh itself holds at most as many connections.
const MOST_TOLD: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Roster {
    addresses: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    named: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Since when it has not been reached.
    Missing(Duration),
    Reached,
    /// This very node listens there.
    Myself,
}

impl Roster {
    /// An address to look at for ever. Says whether it is a new one.
    pub(crate) fn name(&mut self, address: &str, now: Duration) -> bool {
        let known = self.addresses.get_mut(address).map(|entry| entry.named = true);
        if known.is_none() {
            self.addresses.insert(address.to_owned(), Entry { named: true, state: State::Missing(now) });
        }
        known.is_none()
    }

    /// An address that another node tells. Says whether it is a new one.
    pub(crate) fn tell(&mut self, address: &str, now: Duration) -> bool {
        let told = || self.addresses.values().filter(|entry| !entry.named).count();
        if self.addresses.contains_key(address) || told() >= MOST_TOLD {
            return false;
        }
        self.addresses.insert(address.to_owned(), Entry { named: false, state: State::Missing(now) });
        true
    }

    /// Who was there has said that it leaves.
    pub(crate) fn bye(&mut self, address: &str) {
        if self.addresses.get(address).is_some_and(|entry| !entry.named) {
            self.addresses.remove(address);
        }
    }

    /// A node of the cluster is there.
    pub(crate) fn reached(&mut self, address: &str) {
        self.set(address, State::Reached);
    }

    /// Nobody is there.
    pub(crate) fn missed(&mut self, address: &str, now: Duration) {
        if self.addresses.get(address).is_some_and(|entry| entry.state == State::Reached) {
            self.set(address, State::Missing(now));
        }
    }

    /// It is this node's own.
    pub(crate) fn is_mine(&mut self, address: &str) {
        self.set(address, State::Myself);
    }

    fn set(&mut self, address: &str, state: State) {
        if let Some(entry) = self.addresses.get_mut(address) {
            entry.state = state;
        }
    }

    /// Where to look, now.
    pub(crate) fn wanted(&mut self, now: Duration) -> Vec<String> {
        let lost =
            |entry: &Entry| matches!(entry.state, State::Missing(since) if now.saturating_sub(since) >= FORGOTTEN);
        self.addresses.retain(|_, entry| entry.named || !lost(entry));
        let wanted = self.addresses.iter().filter(|(_, entry)| entry.state != State::Myself);
        wanted.map(|(address, _)| address.clone()).collect()
    }

    /// Whether it was named.
    pub(crate) fn is_named(&self, address: &str) -> bool {
        self.addresses.get(address).is_some_and(|entry| entry.named)
    }

    /// Whether somebody is at each address that was named.
    pub(crate) fn is_complete(&self) -> bool {
        self.addresses.values().all(|entry| !entry.named || !matches!(entry.state, State::Missing(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_named_address_is_looked_at_for_ever_and_a_told_one_until_it_is_forgotten() {
        let mut roster = Roster::default();
        assert!(roster.name("a:1", AT(0)) && roster.tell("b:1", AT(10)));
        assert!(!roster.tell("a:1", AT(10)) && !roster.name("a:1", AT(10)));
        assert_eq!(roster.wanted(AT(0) + FORGOTTEN), ["a:1", "b:1"]);
        assert_eq!(roster.wanted(AT(10) + FORGOTTEN), ["a:1"]);
        roster.tell("c:1", AT(2000));
        roster.reached("c:1");
        assert_eq!(roster.wanted(AT(9000)), ["a:1", "c:1"]);
        roster.missed("c:1", AT(9000));
        roster.missed("c:1", AT(9999));
        assert_eq!(roster.wanted(AT(9000) + FORGOTTEN), ["a:1"]);
    }

    #[test]
    fn a_goodbye_takes_back_what_was_told_and_not_what_was_named() {
        let mut roster = Roster::default();
        roster.tell("a:1", AT(0));
        roster.tell("b:1", AT(0));
        roster.name("b:1", AT(0));
        roster.bye("a:1");
        roster.bye("b:1");
        assert_eq!((roster.wanted(AT(1)), roster.is_named("b:1")), (vec!["b:1".to_owned()], true));
    }

    #[test]
    fn it_is_complete_when_somebody_is_at_each_named_address() {
        let mut roster = Roster::default();
        assert!(roster.is_complete());
        roster.tell("t:1", AT(0));
        roster.name("a:1", AT(0));
        roster.name("me:1", AT(0));
        assert!(!roster.is_complete());
        roster.reached("a:1");
        roster.is_mine("me:1");
        assert!(roster.is_complete());
        assert_eq!(roster.wanted(AT(1)), ["a:1", "t:1"]);
        roster.missed("a:1", AT(2));
        assert!(!roster.is_complete());
    }

    #[test]
    fn what_others_tell_is_bounded() {
        let mut roster = Roster::default();
        let taken = (0..2 * MOST_TOLD).filter(|n| roster.tell(&format!("h:{n}"), AT(0))).count();
        assert_eq!(taken, MOST_TOLD);
        assert!(roster.name("one:1", AT(0)));
    }
}
