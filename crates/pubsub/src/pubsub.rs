//! The handle with which applications and channels publish and subscribe.
//!
//! It owns this node's topic table and its adapter. A publish calls the local subscribers first, then the adapter.
//! Invariant: a publisher waits neither for a subscriber nor for the engine.

use crate::adapter::NODES_TOPIC;
use crate::table::Table;
use crate::{
    Adapter, Attachment, ClusterError, InProcess, Inbox, Message, NodeEvent, NodeName, Publication, PublishError, Sink,
    SubscriberId, Subscription, Target,
};
use std::sync::Arc;

/// Publishes and subscribes by topic. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct PubSub {
    table: Arc<Table>,
    adapter: Arc<dyn Adapter>,
}

impl PubSub {
    /// Returns a node without a cluster, `nonode@nohost`.
    pub fn local() -> Self {
        PubSub::new(InProcess::cluster().join(NodeName::default()))
    }

    /// Starts a node of the adapter's cluster.
    pub fn new(adapter: impl Adapter) -> Self {
        let (table, adapter) = (Arc::new(Table::new()), Arc::new(adapter));
        adapter.start(Inbox::new(table.clone(), adapter.node().clone()));
        PubSub { table, adapter }
    }

    /// Returns this node's name.
    pub fn node(&self) -> &NodeName {
        self.adapter.node()
    }

    /// Returns all nodes of the cluster, this one included, sorted by name.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.adapter.nodes()
    }

    /// Subscribes to the nodes that join and leave the cluster from now on.
    pub fn node_events(&self) -> Subscription<NodeEvent> {
        self.subscribe(NODES_TOPIC)
    }

    /// Connects to a node at run time, if the nodes of the engine connect to each other. [`PubSub::node_events`]
    /// reports when the node has joined.
    ///
    /// # Errors
    /// [`ClusterError`] when the nodes of the engine do not connect to each other, and when the text is not an address.
    pub fn connect(&self, address: &str) -> Result<(), ClusterError> {
        self.adapter.connect(address)
    }

    /// Leaves the cluster: sends the messages published before, and notifies the other nodes. Call it once, before the
    /// program ends.
    pub async fn leave(&self) {
        self.adapter.leave().await;
    }

    /// Subscribes to messages of one type on a topic. Messages of other types on that topic are not delivered.
    ///
    /// The queue holds [`Subscription::<M>::CAPACITY`] messages. A subscriber that falls behind loses the oldest, and
    /// [`Subscription::recv`] returns their number.
    pub fn subscribe<M: Message>(&self, topic: &str) -> Subscription<M> {
        Subscription::new(self, topic, None)
    }

    /// As [`PubSub::subscribe`], with metadata for [`PubSub::local_broadcast_where`].
    pub fn subscribe_with<M: Message>(
        &self,
        topic: &str,
        metadata: impl std::any::Any + Send + Sync,
    ) -> Subscription<M> {
        Subscription::new(self, topic, Some(Box::new(metadata)))
    }

    /// Subscribes a custom sink. The publisher calls it for every message of the topic.
    pub fn attach(&self, topic: &str, sink: Arc<dyn Sink>) -> Attachment {
        self.table.attach(&self.adapter, topic, sink)
    }

    /// Publishes to every subscriber on every node.
    ///
    /// # Errors
    /// [`PublishError`] when the adapter could not take the message; this node's subscribers have received it.
    pub fn broadcast<M: Message>(&self, topic: &str, message: M) -> Result<(), PublishError> {
        self.broadcast_from(SubscriberId::NONE, topic, message)
    }

    /// Publishes to every subscriber but one.
    ///
    /// # Errors
    /// As [`PubSub::broadcast`].
    pub fn broadcast_from<M: Message>(&self, from: SubscriberId, topic: &str, message: M) -> Result<(), PublishError> {
        let publication = Publication::new(Arc::new(message));
        self.table.deliver(topic, from, &publication);
        self.adapter.publish(Target::Others, topic, &publication)
    }

    /// Publishes to this node's subscribers only, and returns their number.
    pub fn local_broadcast<M: Message>(&self, topic: &str, message: M) -> usize {
        self.table.deliver(topic, SubscriberId::NONE, &Publication::new(Arc::new(message)))
    }

    /// Publishes to this node's subscribers but one, and returns their number.
    pub fn local_broadcast_from<M: Message>(&self, from: SubscriberId, topic: &str, message: M) -> usize {
        self.table.deliver(topic, from, &Publication::new(Arc::new(message)))
    }

    /// Publishes to this node's subscribers whose metadata has the type `T` and satisfies `wanted`, and returns their
    /// number.
    ///
    /// Other nodes do not receive the message, since a closure cannot be sent to them.
    pub fn local_broadcast_where<M: Message, T: 'static>(
        &self,
        topic: &str,
        message: M,
        wanted: impl Fn(&T) -> bool,
    ) -> usize {
        self.table.deliver_where(topic, SubscriberId::NONE, &Publication::new(Arc::new(message)), |sink| {
            sink.metadata().and_then(|metadata| metadata.downcast_ref()).is_some_and(&wanted)
        })
    }

    /// Publishes to the subscribers of one node, which may be this one.
    ///
    /// # Errors
    /// [`PublishError::UnknownNode`] with the names of the known nodes.
    pub fn direct_broadcast<M: Message>(&self, node: &NodeName, topic: &str, message: M) -> Result<(), PublishError> {
        let publication = Publication::new(Arc::new(message));
        if node == self.node() {
            self.table.deliver(topic, SubscriberId::NONE, &publication);
            return Ok(());
        }
        self.adapter.publish(Target::Node(node.clone()), topic, &publication)
    }

    /// Returns the number of a topic's subscribers on this node.
    pub fn subscriber_count(&self, topic: &str) -> usize {
        self.table.subscriber_count(topic)
    }

    /// Returns the number of topics with a subscriber on this node.
    pub fn topic_count(&self) -> usize {
        self.table.topic_count()
    }
}

impl std::fmt::Debug for PubSub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PubSub({})", self.node())
    }
}
