//! The addresses to which a node connects. Pure.
//!
//! An address is configured, by the node's address text or by `connect`, or learned from another node. The
//! [dialer](crate::dialer) connects to all of them. Invariants: a configured address is never dropped; a learned
//! address is dropped after [`LEARNED_TTL`] out of reach; there are at most [`MAX_LEARNED`] learned addresses.

use std::collections::BTreeMap;
use std::time::Duration;

/// The time out of reach after which a learned address is dropped. A presence tracker removes a lost node for good
/// after the same time.
pub(crate) const LEARNED_TTL: Duration = Duration::from_secs(20 * 60);

/// The limit of learned addresses. Zenoh itself keeps at most as many connections.
const MAX_LEARNED: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    addresses: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    configured: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not connected since this time.
    Unreached(Duration),
    Reached,
    /// The address of this node.
    Own,
}

impl AddressBook {
    /// Adds a configured address. Returns whether it is new.
    pub(crate) fn add_configured(&mut self, address: &str, now: Duration) -> bool {
        let known = self.addresses.get_mut(address).map(|entry| entry.configured = true);
        if known.is_none() {
            self.addresses.insert(address.to_owned(), Entry { configured: true, state: State::Unreached(now) });
        }
        known.is_none()
    }

    /// Adds a learned address. Returns whether it is new.
    pub(crate) fn add_learned(&mut self, address: &str, now: Duration) -> bool {
        let learned = || self.addresses.values().filter(|entry| !entry.configured).count();
        if self.addresses.contains_key(address) || learned() >= MAX_LEARNED {
            return false;
        }
        self.addresses.insert(address.to_owned(), Entry { configured: false, state: State::Unreached(now) });
        true
    }

    /// Drops a learned address, after the goodbye of its node.
    pub(crate) fn drop_learned(&mut self, address: &str) {
        if self.addresses.get(address).is_some_and(|entry| !entry.configured) {
            self.addresses.remove(address);
        }
    }

    /// Records that a node of the cluster is connected at an address.
    pub(crate) fn set_reached(&mut self, address: &str) {
        self.set(address, State::Reached);
    }

    /// Records that the connection to an address is lost.
    pub(crate) fn set_unreached(&mut self, address: &str, now: Duration) {
        if self.addresses.get(address).is_some_and(|entry| entry.state == State::Reached) {
            self.set(address, State::Unreached(now));
        }
    }

    /// Records that an address is this node's own.
    pub(crate) fn set_own(&mut self, address: &str) {
        self.set(address, State::Own);
    }

    fn set(&mut self, address: &str, state: State) {
        if let Some(entry) = self.addresses.get_mut(address) {
            entry.state = state;
        }
    }

    /// Drops expired addresses, and returns the addresses to connect to.
    pub(crate) fn dial_targets(&mut self, now: Duration) -> Vec<String> {
        let lost =
            |entry: &Entry| matches!(entry.state, State::Unreached(since) if now.saturating_sub(since) >= LEARNED_TTL);
        self.addresses.retain(|_, entry| entry.configured || !lost(entry));
        let targets = self.addresses.iter().filter(|(_, entry)| entry.state != State::Own);
        targets.map(|(address, _)| address.clone()).collect()
    }

    /// Returns whether an address is configured.
    pub(crate) fn is_configured(&self, address: &str) -> bool {
        self.addresses.get(address).is_some_and(|entry| entry.configured)
    }

    /// Returns whether every configured address is reached or this node's own.
    pub(crate) fn all_configured_reached(&self) -> bool {
        self.addresses.values().all(|entry| !entry.configured || !matches!(entry.state, State::Unreached(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_configured_address_is_kept_and_a_learned_one_is_dropped_after_its_time_to_live() {
        let mut address_book = AddressBook::default();
        assert!(address_book.add_configured("a:1", AT(0)) && address_book.add_learned("b:1", AT(10)));
        assert!(!address_book.add_learned("a:1", AT(10)) && !address_book.add_configured("a:1", AT(10)));
        assert_eq!(address_book.dial_targets(AT(0) + LEARNED_TTL), ["a:1", "b:1"]);
        assert_eq!(address_book.dial_targets(AT(10) + LEARNED_TTL), ["a:1"]);
        address_book.add_learned("c:1", AT(2000));
        address_book.set_reached("c:1");
        assert_eq!(address_book.dial_targets(AT(9000)), ["a:1", "c:1"]);
        address_book.set_unreached("c:1", AT(9000));
        address_book.set_unreached("c:1", AT(9999));
        assert_eq!(address_book.dial_targets(AT(9000) + LEARNED_TTL), ["a:1"]);
    }

    #[test]
    fn a_goodbye_drops_a_learned_address_and_no_configured_one() {
        let mut address_book = AddressBook::default();
        address_book.add_learned("a:1", AT(0));
        address_book.add_learned("b:1", AT(0));
        address_book.add_configured("b:1", AT(0));
        address_book.drop_learned("a:1");
        address_book.drop_learned("b:1");
        assert_eq!(
            (address_book.dial_targets(AT(1)), address_book.is_configured("b:1")),
            (vec!["b:1".to_owned()], true)
        );
    }

    #[test]
    fn all_are_reached_when_a_node_is_at_each_configured_address() {
        let mut address_book = AddressBook::default();
        assert!(address_book.all_configured_reached());
        address_book.add_learned("t:1", AT(0));
        address_book.add_configured("a:1", AT(0));
        address_book.add_configured("me:1", AT(0));
        assert!(!address_book.all_configured_reached());
        address_book.set_reached("a:1");
        address_book.set_own("me:1");
        assert!(address_book.all_configured_reached());
        assert_eq!(address_book.dial_targets(AT(1)), ["a:1", "t:1"]);
        address_book.set_unreached("a:1", AT(2));
        assert!(!address_book.all_configured_reached());
    }

    #[test]
    fn learned_addresses_are_bounded() {
        let mut address_book = AddressBook::default();
        let taken = (0..2 * MAX_LEARNED).filter(|n| address_book.add_learned(&format!("h:{n}"), AT(0))).count();
        assert_eq!(taken, MAX_LEARNED);
        assert!(address_book.add_configured("one:1", AT(0)));
    }
}
