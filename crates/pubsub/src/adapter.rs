//! The interface between PubSub and an engine (Zenoh, Redis, NATS) that carries messages between nodes.
//!
//! [`crate::PubSub`] calls an [`Adapter`] to publish and to change interest. The adapter delivers the messages of other
//! nodes through the [`Inbox`] that it receives in [`Adapter::start`]. Invariants: neither side waits for the other,
//! and bytes that are not a message between nodes are counted and dropped.

use crate::table::{Table, Topic};
use crate::{Envelope, NodeEvent, NodeName, Publication, SubscriberId};
use bytes::Bytes;
use metrics::{Counter, counter};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

/// The nodes that receive a message beyond the publishing node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every other node.
    Others,
    /// One other node, by its name.
    Node(NodeName),
}

/// A message that the adapter could not give to the engine. The subscribers of the publishing node have received it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The cluster has no node of that name.
    #[error("could not publish to node {node:?}: it is not in the cluster, its nodes are {known:?}")]
    UnknownNode {
        /// The name of the target.
        node: String,
        /// The names of the nodes in the cluster.
        known: Vec<String>,
    },
    /// The engine refused or lost the message.
    #[error("the {adapter} adapter could not publish on {topic:?}: {reason}")]
    Engine {
        /// The adapter's name.
        adapter: &'static str,
        /// The topic.
        topic: String,
        /// The cause.
        reason: String,
    },
}

/// A node to which the adapter could not connect at run time.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The nodes of this engine do not connect to each other.
    #[error(
        "could not connect to a node: nodes of the {adapter} adapter meet {meeting_point} and do not connect to each other"
    )]
    Unsupported {
        /// The adapter's name.
        adapter: &'static str,
        /// Where its nodes meet instead.
        meeting_point: &'static str,
    },
    /// The text is not an address of this engine.
    #[error("{address:?} is not an address of the {adapter} adapter: {reason}")]
    Address {
        /// The adapter's name.
        adapter: &'static str,
        /// The text, without user and password.
        address: String,
        /// The cause, and the form that is expected.
        reason: String,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for ClusterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The future of [`Adapter::leave`].
pub type LeaveFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries messages between the nodes of a cluster.
///
/// The contract, which the `conformance` suite checks:
///
/// - No call blocks the caller.
/// - The messages of one publisher on one topic keep their order.
/// - A node receives neither its own messages nor messages on topics without a subscriber on it.
/// - The [`Inbox`] receives one [`NodeEvent`] when a node joins and one when it leaves.
/// - An engine that is out of reach is not an error of the publisher: messages are lost and counted, and the adapter
///   reconnects by itself.
pub trait Adapter: Send + Sync + 'static {
    /// Returns this node's name.
    fn node(&self) -> &NodeName;

    /// Returns all nodes of the cluster, this one included, sorted.
    fn nodes(&self) -> Vec<NodeName>;

    /// Receives the inbox for the messages of other nodes. Called once, before the first message is published.
    fn start(&self, inbox: Inbox);

    /// Sends a message to other nodes.
    ///
    /// # Errors
    /// [`PublishError`] when the target is unknown or the engine refuses the message.
    fn publish(&self, target: Target, topic: &str, publication: &Publication) -> Result<(), PublishError>;

    /// Adds a topic to this node's interest with its first subscriber, and removes it with its last. Called under a
    /// lock of the topic table: it must neither wait nor call back into PubSub.
    fn set_interest(&self, topic: &str, wanted: bool);

    /// Connects to a node at run time, as `Node.connect/1` does. Returns before the connection is established; a
    /// [`NodeEvent`] reports that the node has joined.
    ///
    /// # Errors
    /// [`ClusterError`] when the nodes of the engine do not connect to each other, and when the text is not an address.
    fn connect(&self, address: &str) -> Result<(), ClusterError>;

    /// Leaves the cluster. The future is ready when the messages published before are sent and the other nodes have
    /// been notified. Nothing is published or received from then on.
    fn leave(&self) -> LeaveFuture;
}

/// Delivers the messages of other nodes to the subscribers of this node. Cloning is cheap.
#[derive(Clone)]
pub struct Inbox {
    table: Arc<Table>,
    node: NodeName,
    counters: Arc<Counters>,
}

/// Looked up once, since every message of another node is counted.
struct Counters {
    received: Counter,
    received_bytes: Counter,
    unwanted: Counter,
    unwanted_bytes: Counter,
    garbage: Counter,
}

/// The topic of this node's own [`NodeEvent`]s.
pub(crate) const NODES_TOPIC: &str = "bennu.nodes";

impl Inbox {
    pub(crate) fn new(table: Arc<Table>, node: NodeName) -> Self {
        let counters = Arc::new(Counters {
            received: counter!("bennu.pubsub.received"),
            received_bytes: counter!("bennu.pubsub.received_bytes"),
            unwanted: counter!("bennu.pubsub.unwanted"),
            unwanted_bytes: counter!("bennu.pubsub.unwanted_bytes"),
            garbage: counter!("bennu.pubsub.garbage"),
        });
        Inbox { table, node, counters }
    }

    /// Returns a receiver for the frames of one read from the engine.
    pub fn incoming(&self) -> FrameReceiver<'_> {
        FrameReceiver { inbox: self, last: None }
    }

    /// Delivers a change of the cluster to this node's subscribers of [`NodeEvent`].
    pub fn node_event(&self, event: NodeEvent) {
        tracing::info!(?event, "nodes");
        self.deliver(NODES_TOPIC, &Publication::new(Arc::new(event)));
    }

    /// Delivers a message to this node's subscribers of a topic, and returns their number.
    pub fn deliver(&self, topic: &str, publication: &Publication) -> usize {
        self.table.deliver(topic, SubscriberId::NONE, publication)
    }
}

/// Receives the frames of one read from the engine. It keeps the last topic, so a run of frames on one topic looks it
/// up once.
pub struct FrameReceiver<'a> {
    inbox: &'a Inbox,
    /// The topic of the previous frame.
    last: Option<Arc<Topic>>,
}

impl FrameReceiver<'_> {
    /// Delivers one frame, as [`Envelope::encode`] writes it. A frame from this node or for another node is ignored;
    /// bytes that are not a frame are counted and dropped.
    pub fn receive(&mut self, frame: Bytes) {
        let Inbox { node, counters, .. } = self.inbox;
        let Envelope { header, json } = match Envelope::decode(&frame) {
            Ok(envelope) => envelope,
            Err(error) => {
                counters.garbage.increment(1);
                tracing::debug!(%error, "the engine delivered bytes that are not a message between nodes");
                return;
            }
        };
        if !header.is_for(node) {
            return;
        }
        let bytes = frame.len() as u64;
        counters.received.increment(1);
        counters.received_bytes.increment(bytes);
        self.find_topic(header.topic);
        let (kind, json) = (part(&frame, header.kind.as_bytes()), part(&frame, json));
        let publication = Publication::received(frame, kind, json);
        if self.deliver(&publication) == 0 {
            counters.unwanted.increment(1);
            counters.unwanted_bytes.increment(bytes);
        }
    }

    /// Looks the topic up, unless it is that of the previous frame.
    fn find_topic(&mut self, topic: &str) {
        if self.last.as_ref().is_none_or(|last| last.name() != topic) {
            self.last = self.inbox.table.topic(topic);
        }
    }

    fn deliver(&mut self, publication: &Publication) -> usize {
        let Some(topic) = &self.last else { return 0 };
        match topic.deliver_where(SubscriberId::NONE, publication, |_| true) {
            // Its last subscriber may have gone since the previous frame, and a new one come.
            0 => {
                self.last = self.inbox.table.topic(topic.name());
                self.last.as_ref().map_or(0, |topic| topic.deliver_where(SubscriberId::NONE, publication, |_| true))
            }
            delivered => delivered,
        }
    }
}

/// Returns the range of a part within its frame.
fn part(frame: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - frame.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, InProcess, Sink};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Sink for Count {
        fn deliver(&self, _: &Publication) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn frames_of_one_read_go_to_the_subscribers_that_their_topic_has_at_that_moment() {
        let adapter: Arc<dyn Adapter> = Arc::new(InProcess::cluster().join(NodeName::new("here")));
        let table = Arc::new(Table::new());
        let inbox = Inbox::new(table.clone(), NodeName::new("here"));
        let frame = |from, topic| Envelope { header: Header { from, to: None, topic, kind: "k" }, json: b"1" }.encode();
        let sinks = [Arc::new(Count::default()), Arc::new(Count::default()), Arc::new(Count::default())];
        let attach = |topic, n: usize| table.attach(&adapter, topic, sinks[n].clone());
        let (first, _other) = (attach("t", 0), attach("u", 2));

        let mut incoming = inbox.incoming();
        incoming.receive(frame("there", "t").unwrap());
        incoming.receive(frame("there", "u").unwrap());
        incoming.receive(frame("there", "t").unwrap());
        incoming.receive(frame("here", "t").unwrap());
        drop(first);
        let _second = attach("t", 1);
        incoming.receive(frame("there", "t").unwrap());
        incoming.receive(frame("there", "none").unwrap());
        assert_eq!(sinks.map(|sink| sink.0.load(Ordering::Relaxed)), [2, 1, 1]);
    }
}
