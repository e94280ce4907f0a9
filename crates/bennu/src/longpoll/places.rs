//! How many long-poll sessions there may be on this node, whichever mount they were opened at: in all, and of one peer.
//!
//! Invariant: a session counts from before its socket is asked until it has ended, so no burst of openings goes past
//! a bound.

use super::LongPoll;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// See the module.
#[derive(Default)]
pub(crate) struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    count: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// One session more than there may be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("this server has {count} long-poll sessions, the limit is {count}")]
    OnThisNode { count: usize },
    #[error("{peer} has {count} long-poll sessions, the limit is {count}")]
    OfThisPeer { peer: IpAddr, count: usize },
}

/// Room for one session; given back when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    peer: Option<IpAddr>,
}

impl Places {
    /// Room for one more session of this peer, when that is known.
    pub(crate) fn reserve(self: &Arc<Self>, peer: Option<IpAddr>, options: &LongPoll) -> Result<Place, TooMany> {
        let peer = peer.map(network);
        let mut taken = self.0.lock();
        if taken.count >= options.max_sessions {
            metrics::counter!("bennu.longpoll.refused", "limit" => "sessions").increment(1);
            return Err(TooMany::OnThisNode { count: options.max_sessions });
        }
        if let Some(peer) = peer {
            let count = taken.by_peer.entry(peer).or_default();
            if *count >= options.max_sessions_per_peer {
                let count = options.max_sessions_per_peer;
                metrics::counter!("bennu.longpoll.refused", "limit" => "sessions_per_peer").increment(1);
                if count == 0 {
                    taken.by_peer.remove(&peer);
                }
                return Err(TooMany::OfThisPeer { peer, count });
            }
            *count += 1;
        }
        taken.count += 1;
        metrics::gauge!("bennu.longpoll.sessions").increment(1);
        Ok(Place { places: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        taken.count -= 1;
        if let Some(peer) = self.peer
            && let Some(count) = taken.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_peer.remove(&peer);
            }
        }
        metrics::gauge!("bennu.longpoll.sessions").decrement(1);
    }
}

/// What counts as one peer: whoever has an IPv6 address has all 2^64 of its network.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_bound_counts_what_is_there_and_names_itself() {
        let places = Arc::new(Places::default());
        let options = LongPoll::default().max_sessions(3).max_sessions_per_peer(2);
        let first = places.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        let second = places.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        let refused = places.reserve(peer("10.0.0.1"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "10.0.0.1 has 2 long-poll sessions, the limit is 2");
        let third = places.reserve(peer("10.0.0.2"), &options).ok().unwrap();
        let refused = places.reserve(peer("10.0.0.3"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "this server has 3 long-poll sessions, the limit is 3");
        drop(first);
        let fourth = places.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        drop((second, third, fourth));
        let taken = places.0.lock();
        assert_eq!((taken.count, taken.by_peer.len()), (0, 0));
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_a_mapped_one_is_its_ipv4_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
