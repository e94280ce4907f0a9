//! All long-poll sessions of this node, whichever mount they were opened at: the table that finds them, and the bounds
//! on how many there may be.
//!
//! Invariant: a session counts from before its socket is asked until it has ended, so no burst of openings goes past
//! a bound.

use super::LongPoll;
use super::session::Session;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_channels::Connected;
use bennu_channels::protocol::Serializer;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// See the module.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Opened ones, by id.
    open: HashMap<String, Arc<Session>>,
    /// Those that are being opened, too.
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
    sessions: Weak<Sessions>,
    id: String,
    peer: Option<IpAddr>,
}

impl Sessions {
    /// Room for one more session of this peer, when that is known.
    pub(crate) fn reserve(self: &Arc<Self>, peer: Option<IpAddr>, options: &LongPoll) -> Result<Place, TooMany> {
        let peer = peer.map(network);
        let mut table = self.0.lock();
        if table.count >= options.max_sessions {
            metrics::counter!("bennu.longpoll.refused", "limit" => "sessions").increment(1);
            return Err(TooMany::OnThisNode { count: options.max_sessions });
        }
        if let Some(peer) = peer {
            let count = table.by_peer.entry(peer).or_default();
            if *count >= options.max_sessions_per_peer {
                let count = options.max_sessions_per_peer;
                metrics::counter!("bennu.longpoll.refused", "limit" => "sessions_per_peer").increment(1);
                if count == 0 {
                    table.by_peer.remove(&peer);
                }
                return Err(TooMany::OfThisPeer { peer, count });
            }
            *count += 1;
        }
        table.count += 1;
        metrics::gauge!("bennu.longpoll.sessions").increment(1);
        Ok(Place { sessions: Arc::downgrade(self), id: random_id(), peer })
    }

    /// Opens a session, which ends when its client is not heard for `idle`, and says its id.
    pub(crate) fn open(&self, place: Place, connected: Connected, serializer: Serializer, idle: Duration) -> String {
        let id = place.id.clone();
        let session = Session::open(connected, serializer, place);
        tokio::spawn(Session::expire(Arc::downgrade(&session), idle));
        self.0.lock().open.insert(id.clone(), session);
        id
    }

    /// The session with this id, unless it has ended.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.0.lock().open.get(id).cloned()
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

fn random_id() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(sessions) = self.sessions.upgrade() else { return };
        let mut table = sessions.0.lock();
        let session = table.open.remove(&self.id);
        table.count -= 1;
        if let Some(peer) = self.peer
            && let Some(count) = table.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                table.by_peer.remove(&peer);
            }
        }
        if table.open.len() * 4 < table.open.capacity() {
            table.open.shrink_to_fit();
        }
        drop(table);
        metrics::gauge!("bennu.longpoll.sessions").decrement(1);
        drop(session);
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
        let sessions = Arc::new(Sessions::default());
        let options = LongPoll::default().max_sessions(3).max_sessions_per_peer(2);
        let first = sessions.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        let second = sessions.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        let refused = sessions.reserve(peer("10.0.0.1"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "10.0.0.1 has 2 long-poll sessions, the limit is 2");
        let third = sessions.reserve(peer("10.0.0.2"), &options).ok().unwrap();
        let refused = sessions.reserve(peer("10.0.0.3"), &options).err().unwrap();
        assert_eq!(refused.to_string(), "this server has 3 long-poll sessions, the limit is 3");
        drop(first);
        let fourth = sessions.reserve(peer("10.0.0.1"), &options).ok().unwrap();
        drop((second, third, fourth));
        let table = sessions.0.lock();
        assert_eq!((table.count, table.by_peer.len()), (0, 0));
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_a_mapped_one_is_its_ipv4_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
