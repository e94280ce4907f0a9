//! Who is in the cluster, for engines that do not know: each node says from time to time that it is there.
//!
//! Pure: adapters on brokers feed it with what they hear and with a clock, and tell their [`crate::Inbox`] what changed.
//! Invariant: a node joins once and leaves once; one that was restarted leaves and joins again.

use crate::NodeName;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a node says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// After this long without a word a node has left: three heartbeats lost, and a second for the way.
pub const SILENCE: Duration = Duration::from_secs(7);

/// A change that others are told of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A node is there.
    Joined {
        /// Its name.
        node: String,
    },
    /// A node has left, or is not heard any more.
    Left {
        /// Its name.
        node: String,
    },
}

impl NodeEvent {
    /// A node is there.
    pub fn joined(node: &NodeName) -> Self {
        NodeEvent::Joined { node: node.to_string() }
    }

    /// A node has left.
    pub fn left(node: &NodeName) -> Self {
        NodeEvent::Left { node: node.to_string() }
    }
}

impl crate::Message for NodeEvent {
    const KIND: &'static str = "bennu.node";
}

/// The other nodes, as far as they have been heard.
#[derive(Debug)]
pub struct Membership {
    me: NodeName,
    others: BTreeMap<NodeName, Heard>,
}

#[derive(Debug)]
struct Heard {
    /// Differs between two runs of a program under one name.
    incarnation: u64,
    at: Duration,
}

impl Membership {
    /// Nobody but `me`.
    pub fn new(me: NodeName) -> Self {
        Membership { me, others: BTreeMap::new() }
    }

    /// A node said that it is there, at `now` on any clock that does not go back.
    pub fn heard(&mut self, node: &NodeName, incarnation: u64, now: Duration) -> Vec<NodeEvent> {
        if *node == self.me {
            return Vec::new();
        }
        let before = self.others.insert(node.clone(), Heard { incarnation, at: now });
        match before {
            None => vec![NodeEvent::joined(node)],
            Some(before) if before.incarnation != incarnation => vec![NodeEvent::left(node), NodeEvent::joined(node)],
            Some(_) => Vec::new(),
        }
    }

    /// A node said goodbye. That of an earlier run says nothing of the present one.
    pub fn left(&mut self, node: &NodeName, incarnation: u64) -> Option<NodeEvent> {
        let heard = self.others.get(node)?;
        (heard.incarnation == incarnation).then(|| {
            self.others.remove(node);
            NodeEvent::left(node)
        })
    }

    /// Forgets who has been silent for [`SILENCE`].
    pub fn expire(&mut self, now: Duration) -> Vec<NodeEvent> {
        let silent = |heard: &Heard| now.saturating_sub(heard.at) >= SILENCE;
        let gone: Vec<_> = self.others.extract_if(.., |_, heard| silent(heard)).collect();
        gone.iter().map(|(node, _)| NodeEvent::left(node)).collect()
    }

    /// Forgets everybody: the engine is out of reach, and with it all others.
    pub fn alone(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.others).keys().map(NodeEvent::left).collect()
    }

    /// Whether a node is there.
    pub fn has(&self, node: &NodeName) -> bool {
        *node == self.me || self.others.contains_key(node)
    }

    /// All nodes, this one included, sorted.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<_> = self.others.keys().cloned().chain([self.me.clone()]).collect();
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
    fn a_node_joins_when_it_is_first_heard_and_leaves_when_it_says_so_or_falls_silent() {
        let mut members = Membership::new(node("a"));
        assert_eq!(members.heard(&node("b"), 1, AT(0)), [NodeEvent::joined(&node("b"))]);
        assert_eq!(members.heard(&node("c"), 1, AT(1)), [NodeEvent::joined(&node("c"))]);
        assert_eq!(members.heard(&node("b"), 1, AT(6)), []);
        assert_eq!(members.nodes(), [node("a"), node("b"), node("c")]);
        assert_eq!(members.expire(AT(7)), []);
        assert_eq!(members.expire(AT(8)), [NodeEvent::left(&node("c"))]);
        assert_eq!(members.left(&node("b"), 1), Some(NodeEvent::left(&node("b"))));
        assert_eq!((members.left(&node("b"), 1), members.nodes()), (None, vec![node("a")]));
    }

    #[test]
    fn a_node_that_was_restarted_leaves_and_joins_and_its_late_goodbye_is_not_its_own() {
        let mut members = Membership::new(node("a"));
        members.heard(&node("b"), 1, AT(0));
        let b = node("b");
        assert_eq!(members.heard(&b, 2, AT(1)), [NodeEvent::left(&b), NodeEvent::joined(&b)]);
        assert_eq!(members.left(&b, 1), None);
        assert!(members.has(&b));
    }

    #[test]
    fn a_node_is_always_in_its_own_list_and_never_an_event() {
        let mut members = Membership::new(node("a"));
        assert_eq!(members.heard(&node("a"), 1, AT(0)), []);
        members.heard(&node("b"), 1, AT(0));
        assert_eq!(members.alone(), [NodeEvent::left(&node("b"))]);
        assert!(members.has(&node("a")) && !members.has(&node("b")));
        assert_eq!(members.nodes(), [node("a")]);
    }
}
