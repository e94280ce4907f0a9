//! The limits of attempts at a password: for each address, and for the whole node.
//!
//! `password` calls [`Attempts::admit`] before each hash, under its lock. The time is an argument: this file has no clock. An
//! attempt that is not admitted counts towards no limit, so that an address is free again after a minute however often
//! it tries. The table of addresses is bounded, and a new address takes the place of the one whose last attempt is the
//! oldest.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::time::Instant;

/// The time in which attempts are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// The attempts of one address in a period.
const MAX_OF_PEER: usize = 5;

/// The attempts of all addresses in a period. Their hashes take about 4 % of one core.
const MAX_OF_NODE: usize = 120;

/// The most addresses in the table, which then has less than 4 MB.
const MAX_PEERS: usize = 10_000;

/// The admitted attempts of the last period, by address and together.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    peers: HashMap<IpAddr, Window>,
    node: Window,
}

impl Attempts {
    /// Counts an attempt, or returns the time until the next one is admitted.
    pub(super) fn admit(&mut self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let network = network(peer);
        let of_peer = self.peers.get_mut(&network).and_then(|window| window.wait(MAX_OF_PEER, now));
        if let Some(wait) = of_peer.max(self.node.wait(MAX_OF_NODE, now)) {
            return Err(wait);
        }
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&network) {
            self.remove_oldest();
        }
        self.peers.entry(network).or_default().push(now);
        self.node.push(now);
        Ok(())
    }

    /// Ends the count of an address.
    pub(super) fn forgive(&mut self, peer: IpAddr) {
        self.peers.remove(&network(peer));
    }

    /// Looks at the whole table; the limit of the node bounds how often.
    fn remove_oldest(&mut self) {
        let oldest = self.peers.iter().min_by_key(|(_, window)| window.0.back()).map(|(network, _)| *network);
        oldest.map(|network| self.peers.remove(&network));
    }
}

/// The times of the admitted attempts of the last period, the oldest first.
#[derive(Debug, Default)]
struct Window(VecDeque<Instant>);

impl Window {
    /// Returns the time until there are fewer attempts than the limit; `None` when there are.
    fn wait(&mut self, limit: usize, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|oldest| now.duration_since(*oldest) >= PERIOD) {
            self.0.pop_front();
        }
        let oldest = self.0.front().filter(|_| self.0.len() >= limit)?;
        Some(PERIOD.saturating_sub(now.duration_since(*oldest)))
    }

    fn push(&mut self, now: Instant) {
        self.0.push_back(now);
    }
}

/// Returns the address that is counted: of IPv6 the /64, since one customer has all of its addresses. An IPv4 address
/// that is written as IPv6 counts as the IPv4 address.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => Ipv6Addr::from_bits(peer.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    /// Returns the number of admitted attempts out of `count` at one time.
    fn admitted(attempts: &mut Attempts, peer: &str, count: usize, now: Instant) -> usize {
        let peer = peer.parse().unwrap();
        (0..count).filter(|_| attempts.admit(peer, now).is_ok()).count()
    }

    #[test]
    fn an_address_has_five_attempts_in_any_minute() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for seconds in [0, 10, 20, 30, 40] {
            assert_eq!(attempts.admit(peer(1), at(seconds)), Ok(()));
        }
        assert_eq!(attempts.admit(peer(1), at(50)), Err(Duration::from_secs(10)));
        assert_eq!(attempts.admit(peer(1), at(60)), Ok(()));
        assert_eq!(attempts.admit(peer(1), at(60)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_refused_attempt_does_not_lengthen_the_wait() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 100, start), 5);
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 100, start + PERIOD - Duration::from_millis(1)), 0);
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 100, start + PERIOD), 5);
    }

    #[test]
    fn a_node_has_a_limit_over_all_addresses() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert!((0..MAX_OF_NODE as u32).all(|n| attempts.admit(peer(n), now).is_ok()));
        assert_eq!(attempts.admit(peer(1_000), now), Err(PERIOD));
        assert_eq!(attempts.admit(peer(1_000), now + PERIOD), Ok(()));
    }

    #[test]
    fn a_refused_address_does_not_use_up_the_attempts_of_the_node() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 10 * MAX_OF_NODE, now), 5);
        assert_eq!(admitted(&mut attempts, "192.0.2.2", 1, now), 1);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert_eq!(admitted(&mut attempts, "2001:db8:0:1::1", 3, now), 3);
        assert_eq!(admitted(&mut attempts, "2001:db8:0:1:ffff:ffff:ffff:ffff", 9, now), 2);
        assert_eq!(admitted(&mut attempts, "2001:db8:0:2::1", 9, now), 5);
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_counts_as_itself() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 5, now), 5);
        assert_eq!(admitted(&mut attempts, "::ffff:192.0.2.1", 1, now), 0);
        assert_eq!(admitted(&mut attempts, "::ffff:192.0.2.2", 1, now), 1);
    }

    #[test]
    fn the_table_is_bounded_and_loses_the_address_of_the_oldest_attempt() {
        let (mut attempts, mut now) = (Attempts::default(), Instant::now());
        for n in 0..MAX_PEERS as u32 + 10 {
            now += PERIOD / 100;
            assert_eq!(attempts.admit(peer(n), now), Ok(()));
            // The first address comes again and again, so that its last attempt is never the oldest.
            if n % 50 == 49 {
                assert_eq!(attempts.admit(peer(0), now), Ok(()));
            }
        }
        assert_eq!(attempts.peers.len(), MAX_PEERS);
        assert!(attempts.peers.contains_key(&peer(0)) && !attempts.peers.contains_key(&peer(1)));
        assert!(attempts.peers.contains_key(&peer(MAX_PEERS as u32 + 9)));
    }

    #[test]
    fn a_forgiven_address_begins_anew() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 9, now), 5);
        attempts.forgive("192.0.2.1".parse().unwrap());
        assert_eq!(admitted(&mut attempts, "192.0.2.1", 9, now), 5);
    }
}
