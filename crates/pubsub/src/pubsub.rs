//! The handle that applications and channels publish and subscribe with.

use crate::adapter::NODES_TOPIC;
use crate::table::Table;
use crate::{
    Adapter, Attachment, ConnectError, Delivery, InProcess, Inbox, Message, NodeEvent, NodeName, PublishError, Sink,
    SubscriberId, Subscription, Target,
};
use std::sync::Arc;

/// Publish and subscribe. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct PubSub {
    table: Arc<Table>,
    adapter: Arc<dyn Adapter>,
}

impl PubSub {
    /// A node of its own: `nonode@nohost`.
    pub fn local() -> Self {
        PubSub::new(InProcess::cluster().join(NodeName::default()))
    }

    /// A node of the adapter's cluster.
    pub fn new(adapter: impl Adapter) -> Self {
        let (table, adapter) = (Arc::new(Table::new()), Arc::new(adapter));
        adapter.start(Inbox::new(table.clone(), adapter.node().clone()));
        PubSub { table, adapter }
    }

    /// This node's name.
    pub fn node(&self) -> &NodeName {
        self.adapter.node()
    }

    /// All nodes of the cluster, this one included, sorted by name.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.adapter.nodes()
    }

    /// Subscribes to who joins the cluster and who leaves it, from now on.
    pub fn node_events(&self) -> Subscription<NodeEvent> {
        self.subscribe(NODES_TOPIC)
    }

    /// Connects to a node at run time, where the engine's nodes connect to each other. What comes of it is told by
    /// [`PubSub::node_events`].
    ///
    /// # Errors
    /// [`ConnectError`] for engines whose nodes meet elsewhere, and for what is no address.
    pub fn connect(&self, address: &str) -> Result<(), ConnectError> {
        self.adapter.connect(address)
    }

    /// Leaves the cluster: what was published before is sent, and the other nodes are told. To be called once, before the
    /// program ends.
    pub async fn leave(&self) {
        self.adapter.leave().await;
    }

    /// Subscribes to messages of one type on a topic. Others on the same topic are not delivered.
    ///
    /// The queue holds [`Subscription::<M>::CAPACITY`] messages; a subscriber that falls behind loses the oldest and
    /// is told how many.
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

    /// Subscribes a sink of one's own: it is called by the publisher for every message of the topic.
    pub fn attach(&self, topic: &str, sink: Arc<dyn Sink>) -> Attachment {
        self.table.attach(&self.adapter, topic, sink)
    }

    /// Publishes to every subscriber on every node.
    ///
    /// # Errors
    /// [`PublishError`] when the adapter could not take it; this node's subscribers have received it all the same.
    pub fn broadcast<M: Message>(&self, topic: &str, message: M) -> Result<(), PublishError> {
        self.broadcast_from(SubscriberId::NONE, topic, message)
    }

    /// Publishes to every subscriber but one.
    ///
    /// # Errors
    /// As [`PubSub::broadcast`].
    pub fn broadcast_from<M: Message>(&self, from: SubscriberId, topic: &str, message: M) -> Result<(), PublishError> {
        let delivery = Delivery::new(Arc::new(message));
        self.table.deliver(topic, from, &delivery);
        self.adapter.publish(Target::Others, topic, &delivery)
    }

    /// Publishes to this node's subscribers only, and says how many they were.
    pub fn local_broadcast<M: Message>(&self, topic: &str, message: M) -> usize {
        self.table.deliver(topic, SubscriberId::NONE, &Delivery::new(Arc::new(message)))
    }

    /// Publishes to this node's subscribers but one, and says how many they were.
    pub fn local_broadcast_from<M: Message>(&self, from: SubscriberId, topic: &str, message: M) -> usize {
        self.table.deliver(topic, from, &Delivery::new(Arc::new(message)))
    }

    /// Publishes to those of this node's subscribers whose metadata has the type `T` and is wanted.
    ///
    /// The choice is a closure, so it cannot travel: other nodes are not asked.
    pub fn local_broadcast_where<M: Message, T: 'static>(
        &self,
        topic: &str,
        message: M,
        wanted: impl Fn(&T) -> bool,
    ) -> usize {
        self.table.deliver_where(topic, SubscriberId::NONE, &Delivery::new(Arc::new(message)), |sink| {
            sink.metadata().and_then(|metadata| metadata.downcast_ref()).is_some_and(&wanted)
        })
    }

    /// Publishes to the subscribers of one node, which may be this one.
    ///
    /// # Errors
    /// [`PublishError::UnknownNode`] names the nodes that are known.
    pub fn direct_broadcast<M: Message>(&self, node: &NodeName, topic: &str, message: M) -> Result<(), PublishError> {
        let delivery = Delivery::new(Arc::new(message));
        if node == self.node() {
            self.table.deliver(topic, SubscriberId::NONE, &delivery);
            return Ok(());
        }
        self.adapter.publish(Target::Node(node.clone()), topic, &delivery)
    }

    /// How many subscribers a topic has on this node.
    pub fn subscriber_count(&self, topic: &str) -> usize {
        self.table.subscriber_count(topic)
    }

    /// How many topics have a subscriber on this node.
    pub fn topic_count(&self) -> usize {
        self.table.topic_count()
    }
}

impl std::fmt::Debug for PubSub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PubSub({})", self.node())
    }
}
