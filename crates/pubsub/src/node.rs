//! The name of a node, and the event of a node that joins or leaves the cluster.

use crate::Message;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A node's name. A program outside a cluster is `nonode@nohost`, as in Erlang.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Returns a node name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        NodeName(name.into())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NodeName {
    fn default() -> Self {
        NodeName::new("nonode@nohost")
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change of the cluster, which [`PubSub::node_events`](crate::PubSub::node_events) delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A node has joined.
    Joined {
        /// Its name.
        node: String,
    },
    /// A node has left, or is out of reach.
    Left {
        /// Its name.
        node: String,
    },
}

impl NodeEvent {
    /// Returns the event of a node that has joined.
    pub fn joined(node: &NodeName) -> Self {
        NodeEvent::Joined { node: node.to_string() }
    }

    /// Returns the event of a node that has left.
    pub fn left(node: &NodeName) -> Self {
        NodeEvent::Left { node: node.to_string() }
    }
}

impl Message for NodeEvent {
    const KIND: &'static str = "bennu.node";
}
