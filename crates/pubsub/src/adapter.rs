//! The seam between this node's table and the others': what an engine (zenoh, Redis, NATS) must do.

use crate::table::{Table, Topic};
use crate::{Delivery, Envelope, NodeEvent, NodeName, SubscriberId};
use bytes::Bytes;
use metrics::{Counter, counter};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
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

/// A node that could not be connected to at run time.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The nodes of this engine do not connect to each other.
    #[error("nodes of the {adapter} adapter meet {where_}, they do not connect to each other")]
    Unsupported {
        /// The adapter's name.
        adapter: &'static str,
        /// Where they meet instead.
        where_: &'static str,
    },
    /// The address is none of this engine's.
    #[error("{address:?} is no address for the {adapter} adapter: {reason}")]
    Address {
        /// The adapter's name.
        adapter: &'static str,
        /// What was given.
        address: String,
        /// Why not.
        reason: String,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What [`Adapter::leave`] returns.
pub type Leaving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries messages between nodes.
///
/// Contract, checked by the `conformance` suite: never blocks the caller; keeps the order of one publisher on one
/// topic; never hands a node its own messages; a node receives only topics it has subscribers for; who joins and who
/// leaves is told to the [`Inbox`], once. An engine that is out of reach is no error of the publisher's: messages are
/// lost, counted, and the adapter comes back by itself.
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

    /// The first subscriber of a topic came, or the last one left. Called under a lock of the table: must neither wait
    /// nor call back.
    fn interest(&self, topic: &str, wanted: bool);

    /// Connects to a node at run time, as `Node.connect/1` does. Returns before the connection is up: what comes of it is
    /// told by [`NodeEvent`]s.
    ///
    /// # Errors
    /// [`ConnectError`] for engines whose nodes meet elsewhere, and for what is no address.
    fn connect(&self, address: &str) -> Result<(), ConnectError>;

    /// Says goodbye: what was published before is sent, and the other nodes know that this one has left. Nothing is
    /// published or received any more.
    fn leave(&self) -> Leaving;
}

/// Where an adapter delivers what other nodes published. Cloning is cheap.
#[derive(Clone)]
pub struct Inbox {
    table: Arc<Table>,
    node: NodeName,
    counters: Arc<Counters>,
}

/// Looked up once, since every message of another node counts.
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

    /// Takes frames that came together from the engine.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { inbox: self, last: None }
    }

    /// Tells this node's subscribers of [`NodeEvent`]s what changed.
    pub fn node_event(&self, event: NodeEvent) {
        tracing::info!(?event, "nodes");
        self.deliver(NODES_TOPIC, &Delivery::new(Arc::new(event)));
    }

    /// Gives a message to this node's subscribers of a topic and says how many they were.
    pub fn deliver(&self, topic: &str, delivery: &Delivery) -> usize {
        self.table.deliver(topic, SubscriberId::NONE, delivery)
    }
}

/// Frames that have come together, one after another: what follows on one topic finds it at once.
pub struct Incoming<'a> {
    inbox: &'a Inbox,
    /// The topic of the frame before.
    last: Option<Arc<Topic>>,
}

impl Incoming<'_> {
    /// Takes one frame, as [`Envelope::encode`] wrote it. What is for other nodes, or from this one, is nothing; what is no
    /// frame is counted, and dropped.
    pub fn receive(&mut self, frame: Bytes) {
        let Inbox { node, counters, .. } = self.inbox;
        let Envelope { header, json } = match Envelope::decode(&frame) {
            Ok(envelope) => envelope,
            Err(error) => {
                counters.garbage.increment(1);
                tracing::debug!(%error, "an engine brought what is no message between nodes");
                return;
            }
        };
        if !header.is_for(node) {
            return;
        }
        let bytes = frame.len() as u64;
        counters.received.increment(1);
        counters.received_bytes.increment(bytes);
        self.look(header.topic);
        let (kind, json) = (part(&frame, header.kind.as_bytes()), part(&frame, json));
        let delivery = Delivery::received(frame, kind, json);
        if self.deliver(&delivery) == 0 {
            counters.unwanted.increment(1);
            counters.unwanted_bytes.increment(bytes);
        }
    }

    /// Finds the topic, unless it is that of the frame before.
    fn look(&mut self, topic: &str) {
        if self.last.as_ref().is_none_or(|last| last.name() != topic) {
            self.last = self.inbox.table.topic(topic);
        }
    }

    fn deliver(&mut self, delivery: &Delivery) -> usize {
        let Some(topic) = &self.last else { return 0 };
        match topic.deliver_where(SubscriberId::NONE, delivery, |_| true) {
            // Its last subscriber may have gone since the frame before, and another one come.
            0 => {
                self.last = self.inbox.table.topic(topic.name());
                self.last.as_ref().map_or(0, |topic| topic.deliver_where(SubscriberId::NONE, delivery, |_| true))
            }
            delivered => delivered,
        }
    }
}

/// Where in a frame a part of it is.
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
        fn deliver(&self, _: &Delivery) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn frames_that_come_together_go_to_whoever_subscribes_to_their_topic_then() {
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
