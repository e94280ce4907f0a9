//! A node under test: its `PubSub`, and its own metrics.

use super::metric::CapturedMetrics;
use super::{MeetingPoint, Server};
use crate::QUEUE_BYTES;
use bennu_pubsub::{Message, NodeEvent, NodeName, PubSub, Publication, Sink, Subscription};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The limit for any expected event.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The limit for a publish. A publisher that takes longer has waited for something; the scheduler alone delays a thread
/// by less.
pub const PUBLISH_LIMIT: Duration = Duration::from_secs(1);

/// The counter of messages that were not sent.
pub const DROPPED: &str = "bennu.pubsub.dropped";
/// Its label for a full queue.
pub const FULL: &[(&str, &str)] = &[("reason", "queue_full")];
/// Its label for an engine out of reach.
pub const DISCONNECTED: &[(&str, &str)] = &[("reason", "disconnected")];

/// Returns the event of a node that has joined.
pub fn joined(name: &'static str) -> NodeEvent {
    NodeEvent::joined(&NodeName::new(name))
}

/// Returns the event of a node that has left.
pub fn left(name: &'static str) -> NodeEvent {
    NodeEvent::left(&NodeName::new(name))
}

/// The message type of the laws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// A number.
    pub n: u64,
    /// Text that makes the message larger.
    #[serde(default)]
    pub text: String,
}

impl Message for Note {
    const KIND: &'static str = "bennu.conformance.note";
}

impl Note {
    /// Returns a note without text.
    pub fn new(n: u64) -> Note {
        Note { n, text: String::new() }
    }
}

/// A node under test.
pub struct Node {
    pubsub: PubSub,
    metrics: CapturedMetrics,
}

impl Node {
    /// Starts a node with `join`, and records its metrics.
    pub fn measured(join: impl FnOnce() -> PubSub) -> Node {
        let metrics = CapturedMetrics::default();
        Node { pubsub: metrics::with_local_recorder(&metrics, join), metrics }
    }

    /// Starts a node of the cluster `bennu` at a meeting point.
    pub fn join<M: MeetingPoint>(place: &M, name: &str) -> Node {
        Node::measured(|| place.join("bennu", name, QUEUE_BYTES))
    }

    /// Starts a node at a server, with every parameter.
    pub fn join_with<S: Server>(
        port: u16,
        credentials: Option<&str>,
        cluster: &str,
        name: &str,
        queue_bytes: usize,
    ) -> Node {
        Node::measured(|| S::join(port, credentials, cluster, name, queue_bytes))
    }

    /// Starts two nodes `a` and `b`, and waits until they have found each other.
    pub async fn pair<M: MeetingPoint>(place: &M) -> (Node, Node) {
        let (a, b) = (Node::join(place, "a"), Node::join(place, "b"));
        a.wait_for_nodes(2).await;
        b.wait_for_nodes(2).await;
        (a, b)
    }

    /// Waits until the cluster has that many nodes.
    pub async fn wait_for_nodes(&self, nodes: usize) {
        eventually(&format!("{} has found {nodes} nodes", self.node()), || self.nodes().len() == nodes).await;
    }

    /// Returns the sum of this node's counters of that name with all of these labels.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics.counter(name, labels)
    }

    /// Returns whether the engine is connected.
    pub fn is_connected(&self) -> bool {
        self.metrics.gauge("bennu.pubsub.connected") == 1.0
    }

    /// Publishes until a subscription receives a message: from then on it is in effect at this node.
    pub async fn wait_for_subscription(&self, topic: &str, subscription: &mut Subscription<Note>) {
        const PROBE: u64 = u64::MAX;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            self.broadcast(topic, Note::new(PROBE)).expect("a probe is below the limit");
            match timeout(Duration::from_millis(50), subscription.recv()).await {
                Ok(Ok(note)) if note.n == PROBE => break,
                _ => assert!(Instant::now() < deadline, "{topic} is not in effect within {TIMEOUT:?}"),
            }
        }
        // Further probes may be on their way; the last message follows them.
        self.broadcast(topic, Note::new(PROBE - 1)).expect("a probe is below the limit");
        while next(subscription).await != PROBE - 1 {}
    }
}

impl Deref for Node {
    type Target = PubSub;

    fn deref(&self) -> &PubSub {
        &self.pubsub
    }
}

/// Returns the number of the next note.
pub async fn next(subscription: &mut Subscription<Note>) -> u64 {
    let note = timeout(TIMEOUT, subscription.recv()).await;
    note.unwrap_or_else(|_| panic!("nothing arrived within {TIMEOUT:?}")).expect("a law never falls behind").n
}

/// Returns the next event.
pub async fn next_event(events: &mut Subscription<NodeEvent>) -> NodeEvent {
    let event = timeout(TIMEOUT, events.recv()).await;
    let event = event.unwrap_or_else(|_| panic!("no node event within {TIMEOUT:?}"));
    NodeEvent::clone(&event.expect("a law never falls behind"))
}

/// Polls until a condition holds that sends no notification, such as the value of a counter.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A sink that keeps the number of every note.
#[derive(Default)]
pub struct Collector(Mutex<Vec<u64>>);

impl Collector {
    /// Returns the numbers so far.
    pub fn numbers(&self) -> Vec<u64> {
        self.0.lock().clone()
    }

    /// Returns the last number.
    pub fn last(&self) -> Option<u64> {
        self.0.lock().last().copied()
    }

    /// Returns a new sink.
    pub fn sink() -> Arc<Collector> {
        Arc::default()
    }
}

impl Sink for Collector {
    fn deliver(&self, publication: &Publication) {
        if let Some(note) = publication.downcast_ref::<Note>() {
            self.0.lock().push(note.n);
        }
    }
}
