//! The other nodes of the cluster, from their heartbeats.
//!
//! Pure: the adapters on brokers feed it with control messages and with a clock, and pass its events to their
//! [`crate::Inbox`]; the Zenoh adapter feeds it with liveliness tokens. Invariant: a node joins once and leaves once; a
//! restarted node leaves and joins again.

use crate::{NodeEvent, NodeName};
use std::collections::BTreeMap;
use std::time::Duration;

/// The time between two heartbeats of a node.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// The time without a heartbeat after which a node has left: three lost heartbeats, and a second for the way.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(7);

/// The nodes of the cluster, with the time of their last heartbeat.
#[derive(Debug)]
pub struct Membership {
    local: NodeName,
    others: BTreeMap<NodeName, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// A number that differs between two runs of a program under one name.
    incarnation: u64,
    last_seen: Duration,
}

impl Membership {
    /// Returns a cluster of the local node only.
    pub fn new(local: NodeName) -> Self {
        Membership { local, others: BTreeMap::new() }
    }

    /// Records a heartbeat of a node. `now` is the time on any clock that does not go back.
    pub fn observe(&mut self, node: &NodeName, incarnation: u64, now: Duration) -> Vec<NodeEvent> {
        if *node == self.local {
            return Vec::new();
        }
        let before = self.others.insert(node.clone(), Peer { incarnation, last_seen: now });
        match before {
            None => vec![NodeEvent::joined(node)],
            Some(before) if before.incarnation != incarnation => vec![NodeEvent::left(node), NodeEvent::joined(node)],
            Some(_) => Vec::new(),
        }
    }

    /// Removes a node that said goodbye. A goodbye of an earlier run of the node is ignored.
    pub fn remove(&mut self, node: &NodeName, incarnation: u64) -> Option<NodeEvent> {
        let peer = self.others.get(node)?;
        (peer.incarnation == incarnation).then(|| {
            self.others.remove(node);
            NodeEvent::left(node)
        })
    }

    /// Removes the nodes without a heartbeat within [`NODE_TIMEOUT`].
    pub fn expire(&mut self, now: Duration) -> Vec<NodeEvent> {
        let silent = |peer: &Peer| now.saturating_sub(peer.last_seen) >= NODE_TIMEOUT;
        let gone: Vec<_> = self.others.extract_if(.., |_, peer| silent(peer)).collect();
        gone.iter().map(|(node, _)| NodeEvent::left(node)).collect()
    }

    /// Removes all other nodes, because the engine is out of reach.
    pub fn clear(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.others).keys().map(NodeEvent::left).collect()
    }

    /// Returns whether a node is in the cluster; the local node always is.
    pub fn contains(&self, node: &NodeName) -> bool {
        *node == self.local || self.others.contains_key(node)
    }

    /// Returns all nodes, the local one included, sorted.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.others.keys().cloned().chain([self.local.clone()]).collect();
        nodes.sort();
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    fn node(name: &'static str) -> NodeName {
        NodeName::new(name)
    }

    #[test]
    fn a_node_joins_with_its_first_heartbeat_and_leaves_by_goodbye_or_by_timeout() {
        let mut members = Membership::new(node("a"));
        assert_eq!(members.observe(&node("b"), 1, AT(0)), [NodeEvent::joined(&node("b"))]);
        assert_eq!(members.observe(&node("c"), 1, AT(1)), [NodeEvent::joined(&node("c"))]);
        assert_eq!(members.observe(&node("b"), 1, AT(6)), []);
        assert_eq!(members.nodes(), [node("a"), node("b"), node("c")]);
        assert_eq!(members.expire(AT(7)), []);
        assert_eq!(members.expire(AT(8)), [NodeEvent::left(&node("c"))]);
        assert_eq!(members.remove(&node("b"), 1), Some(NodeEvent::left(&node("b"))));
        assert_eq!((members.remove(&node("b"), 1), members.nodes()), (None, vec![node("a")]));
    }

    #[test]
    fn a_restarted_node_leaves_and_joins_and_a_late_goodbye_of_its_earlier_run_is_ignored() {
        let mut members = Membership::new(node("a"));
        members.observe(&node("b"), 1, AT(0));
        let b = node("b");
        assert_eq!(members.observe(&b, 2, AT(1)), [NodeEvent::left(&b), NodeEvent::joined(&b)]);
        assert_eq!(members.remove(&b, 1), None);
        assert!(members.contains(&b));
    }

    #[test]
    fn the_local_node_is_always_in_the_list_and_never_an_event() {
        let mut members = Membership::new(node("a"));
        assert_eq!(members.observe(&node("a"), 1, AT(0)), []);
        members.observe(&node("b"), 1, AT(0));
        assert_eq!(members.clear(), [NodeEvent::left(&node("b"))]);
        assert!(members.contains(&node("a")) && !members.contains(&node("b")));
        assert_eq!(members.nodes(), [node("a")]);
    }
}
