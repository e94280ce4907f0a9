//! The quota of long-poll sessions on this node, for all mounts of an endpoint together: a limit in total, and a limit
//! for each peer.
//!
//! [`super::service`] acquires a [`SessionPermit`] before it calls `connect`; the session returns it when it ends.
//! Invariant: a session counts from before its `connect` until its end, so no burst of new sessions exceeds a limit.

use crate::mount::LongPoll;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// See the module.
#[derive(Default)]
pub(crate) struct SessionQuota(Mutex<Count>);

#[derive(Default)]
struct Count {
    total: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The error of a session over a limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuotaExceeded {
    #[error("this server has reached its limit of {limit} long-poll sessions")]
    Node { limit: usize },
    #[error("{peer} has reached its limit of {limit} long-poll sessions")]
    Peer { peer: IpAddr, limit: usize },
}

/// The permit of one session; dropping it returns it to the quota.
pub(crate) struct SessionPermit {
    quota: Arc<SessionQuota>,
    peer: Option<IpAddr>,
}

impl SessionQuota {
    /// Acquires a permit for one more session. `peer` is `None` if the address of the client is unknown; only the limit
    /// of the node then applies.
    ///
    /// # Errors
    /// [`QuotaExceeded`] with the limit that is reached.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        options: &LongPoll,
    ) -> Result<SessionPermit, QuotaExceeded> {
        let peer = peer.map(network);
        let mut count = self.0.lock();
        if count.total >= options.max_sessions {
            metrics::counter!("bennu.longpoll.refused", "limit" => "sessions").increment(1);
            return Err(QuotaExceeded::Node { limit: options.max_sessions });
        }
        if let Some(peer) = peer {
            let limit = options.max_sessions_per_peer;
            let sessions = count.by_peer.entry(peer).or_default();
            if *sessions >= limit {
                metrics::counter!("bennu.longpoll.refused", "limit" => "sessions_per_peer").increment(1);
                if *sessions == 0 {
                    count.by_peer.remove(&peer);
                }
                return Err(QuotaExceeded::Peer { peer, limit });
            }
            *sessions += 1;
        }
        count.total += 1;
        metrics::gauge!("bennu.longpoll.sessions").increment(1);
        Ok(SessionPermit { quota: self.clone(), peer })
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut count = self.quota.0.lock();
        count.total -= 1;
        if let Some(peer) = self.peer
            && let Some(sessions) = count.by_peer.get_mut(&peer)
        {
            *sessions -= 1;
            if *sessions == 0 {
                count.by_peer.remove(&peer);
            }
        }
        metrics::gauge!("bennu.longpoll.sessions").decrement(1);
    }
}

/// Returns the address that counts as one peer. For IPv6 that is the network of 64 bits: a client has all 2^64
/// addresses of its network.
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
    fn each_limit_refuses_with_its_number_until_a_permit_is_returned() {
        let quota = Arc::new(SessionQuota::default());
        let options = LongPoll::default().max_sessions(3).max_sessions_per_peer(2);
        let first = quota.acquire(peer("10.0.0.1"), &options).ok().unwrap();
        let second = quota.acquire(peer("10.0.0.1"), &options).ok().unwrap();
        let refused = quota.acquire(peer("10.0.0.1"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "10.0.0.1 has reached its limit of 2 long-poll sessions");
        let third = quota.acquire(peer("10.0.0.2"), &options).ok().unwrap();
        let refused = quota.acquire(peer("10.0.0.3"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "this server has reached its limit of 3 long-poll sessions");
        drop(first);
        let fourth = quota.acquire(peer("10.0.0.1"), &options).ok().unwrap();
        drop((second, third, fourth));
        let count = quota.0.lock();
        assert_eq!((count.total, count.by_peer.len()), (0, 0));
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_a_mapped_address_is_its_ipv4_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
