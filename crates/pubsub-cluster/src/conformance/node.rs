//! A node under test: its `PubSub`, and the metrics of this node alone.

use super::metric::Metrics;
use super::{Meeting, Server};
use crate::QUEUE_BYTES;
use bennu_pubsub::{Delivery, Message, NodeEvent, NodeName, PubSub, Sink, Subscription};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A publisher that takes longer has waited for something. A thread may be kept from running for some time.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// Counts messages that were not sent.
pub const DROPPED: &str = "bennu.pubsub.dropped";
/// Since the queue was full.
pub const FULL: &[(&str, &str)] = &[("reason", "queue_full")];
/// Since the engine was out of reach.
pub const DISCONNECTED: &[(&str, &str)] = &[("reason", "disconnected")];

/// A node is there.
pub fn joined(name: &'static str) -> NodeEvent {
    NodeEvent::joined(&NodeName::new(name))
}

/// A node has left.
pub fn left(name: &'static str) -> NodeEvent {
    NodeEvent::left(&NodeName::new(name))
}

/// What the laws publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// A number.
    pub n: u64,
    /// As much text as a law wants.
    #[serde(default)]
    pub text: String,
}

impl Message for Note {
    const KIND: &'static str = "bennu.conformance.note";
}

impl Note {
    /// A number.
    pub fn new(n: u64) -> Note {
        Note { n, text: String::new() }
    }
}

/// A node.
pub struct Node {
    pubsub: PubSub,
    metrics: Metrics,
}

impl Node {
    /// What `join` makes.
    pub fn of(join: impl FnOnce() -> PubSub) -> Node {
        let metrics = Metrics::default();
        Node { pubsub: metrics::with_local_recorder(&metrics, join), metrics }
    }

    /// A node that meets others, of the cluster `bennu`.
    pub fn join<M: Meeting>(meeting: &M, name: &str) -> Node {
        Node::of(|| meeting.join("bennu", name, QUEUE_BYTES))
    }

    /// A node at a server, with everything said.
    pub fn join_with<S: Server>(
        port: u16,
        credentials: Option<&str>,
        cluster: &str,
        name: &str,
        queue_bytes: usize,
    ) -> Node {
        Node::of(|| S::join(port, credentials, cluster, name, queue_bytes))
    }

    /// Two nodes `a` and `b` that know each other.
    pub async fn pair<M: Meeting>(meeting: &M) -> (Node, Node) {
        let (a, b) = (Node::join(meeting, "a"), Node::join(meeting, "b"));
        a.knows(2).await;
        b.knows(2).await;
        (a, b)
    }

    /// Waits until the cluster has that many nodes.
    pub async fn knows(&self, nodes: usize) {
        eventually(&format!("{} knows {nodes} nodes", self.node()), || self.nodes().len() == nodes).await;
    }

    /// A counter of this node's, the sum of those with all of these labels.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics.counter(name, labels)
    }

    /// Whether the engine can be reached.
    pub fn is_connected(&self) -> bool {
        self.metrics.gauge("bennu.pubsub.connected") == 1.0
    }

    /// Publishes until a subscription hears it: from then on it is in effect here.
    pub async fn reaches(&self, topic: &str, subscription: &mut Subscription<Note>) {
        const PROBE: u64 = u64::MAX;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.broadcast(topic, Note::new(PROBE)).expect("a probe is small");
            match timeout(Duration::from_millis(50), subscription.recv()).await {
                Ok(Ok(note)) if note.n == PROBE => break,
                _ => assert!(Instant::now() < deadline, "{topic} is not in effect within {PATIENCE:?}"),
            }
        }
        // Further probes may be under way; the last word comes behind them.
        self.broadcast(topic, Note::new(PROBE - 1)).expect("a probe is small");
        while next(subscription).await != PROBE - 1 {}
    }
}

impl Deref for Node {
    type Target = PubSub;

    fn deref(&self) -> &PubSub {
        &self.pubsub
    }
}

/// The number of the next note.
pub async fn next(subscription: &mut Subscription<Note>) -> u64 {
    let note = timeout(PATIENCE, subscription.recv()).await;
    note.unwrap_or_else(|_| panic!("nothing arrived within {PATIENCE:?}")).expect("a law never falls behind").n
}

/// The next event.
pub async fn next_event(events: &mut Subscription<NodeEvent>) -> NodeEvent {
    let event = timeout(PATIENCE, events.recv()).await;
    let event = event.unwrap_or_else(|_| panic!("no node event within {PATIENCE:?}"));
    NodeEvent::clone(&event.expect("a law never falls behind"))
}

/// Looks until something holds that nothing tells of, such as a counter.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Keeps the number of every note that comes.
#[derive(Default)]
pub struct Collected(Mutex<Vec<u64>>);

impl Collected {
    /// The numbers so far.
    pub fn numbers(&self) -> Vec<u64> {
        self.0.lock().clone()
    }

    /// The last of them.
    pub fn last(&self) -> Option<u64> {
        self.0.lock().last().copied()
    }

    /// A sink that keeps what it is given.
    pub fn sink() -> Arc<Collected> {
        Arc::default()
    }
}

impl Sink for Collected {
    fn deliver(&self, delivery: &Delivery) {
        if let Some(note) = delivery.downcast_ref::<Note>() {
            self.0.lock().push(note.n);
        }
    }
}
