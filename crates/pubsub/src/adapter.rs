//! The seam between this node's table and the others': what an engine (zenoh, Redis, NATS) must do.

use crate::{Delivery, NodeName, SubscriberId, table::Table};
use std::sync::Arc;

/// Who shall receive a message beyond the publishing node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every other node.
    Others,
    /// One node by name, which is not the publishing one.
    Node(NodeName),
}

/// A message that could not be handed to the engine. Local subscribers have received it all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No node of that name is in the cluster.
    #[error("no node named {node:?} is connected, known are {known:?}")]
    UnknownNode {
        /// The name asked for.
        node: String,
        /// The nodes that are.
        known: Vec<String>,
    },
    /// The engine refused or lost it.
    #[error("the {adapter} adapter could not publish on {topic:?}: {reason}")]
    Engine {
        /// The adapter's name.
        adapter: &'static str,
        /// The topic.
        topic: String,
        /// What the engine said.
        reason: String,
    },
}

/// Carries messages between nodes.
///
/// Contract, checked by the `conformance` suite: never blocks the caller; keeps the order of one publisher on one
/// topic; never hands a node its own messages; a node receives only topics it has subscribers for.
pub trait Adapter: Send + Sync + 'static {
    /// This node's name.
    fn node(&self) -> &NodeName;

    /// All nodes of the cluster, this one included, sorted.
    fn nodes(&self) -> Vec<NodeName>;

    /// Called once, before anything is published: where messages from other nodes go.
    fn start(&self, inbox: Inbox);

    /// Hands a message to other nodes.
    ///
    /// # Errors
    /// [`PublishError`] when the target is unknown or the engine refuses.
    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError>;

    /// The first subscriber of a topic came, or the last one left.
    fn interest(&self, topic: &str, wanted: bool);
}

/// Where an adapter delivers what other nodes published. Cloning is cheap.
#[derive(Clone)]
pub struct Inbox {
    table: Arc<Table>,
}

impl Inbox {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Inbox { table }
    }

    /// Gives a message to this node's subscribers of a topic and says how many they were.
    pub fn deliver(&self, topic: &str, delivery: &Delivery) -> usize {
        self.table.deliver(topic, SubscriberId::NONE, delivery)
    }
}
