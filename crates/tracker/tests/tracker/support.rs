//! Nodes of one program whose cables can be pulled, and a handler that writes down what it is told.

use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
use bennu_pubsub::{
    Adapter, ConnectError, Delivery, InProcess, Inbox, Leaving, NodeName, PubSub, PublishError, Target,
};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A cluster whose nodes can be cut off from all others, without hearing of it.
#[derive(Default, Clone)]
pub(crate) struct Cluster {
    nodes: InProcess,
    cut_off: Arc<Mutex<HashSet<String>>>,
}

impl Cluster {
    pub(crate) fn node(&self, name: &str) -> PubSub {
        let inner = Box::new(self.nodes.join(NodeName::new(name)));
        PubSub::new(Cable { inner, cut_off: self.cut_off.clone() })
    }

    pub(crate) fn cut_off(&self, name: &str) {
        self.cut_off.lock().insert(name.to_owned());
    }

    pub(crate) fn mend(&self) {
        self.cut_off.lock().clear();
    }
}

struct Cable {
    inner: Box<dyn Adapter>,
    cut_off: Arc<Mutex<HashSet<String>>>,
}

impl Cable {
    fn passes(&self, to: &NodeName) -> bool {
        let cut_off = self.cut_off.lock();
        !cut_off.contains(self.inner.node().as_str()) && !cut_off.contains(to.as_str())
    }
}

impl Adapter for Cable {
    fn node(&self) -> &NodeName {
        self.inner.node()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.inner.nodes()
    }

    fn start(&self, inbox: Inbox) {
        self.inner.start(inbox);
    }

    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        let targets = match target {
            Target::Others => self.nodes().into_iter().filter(|node| node != self.node()).collect(),
            Target::Node(node) => vec![node],
        };
        for node in targets.into_iter().filter(|node| self.passes(node)) {
            self.inner.publish(Target::Node(node), topic, delivery)?;
        }
        Ok(())
    }

    fn interest(&self, topic: &str, wanted: bool) {
        self.inner.interest(topic, wanted);
    }

    fn connect(&self, address: &str) -> Result<(), ConnectError> {
        self.inner.connect(address)
    }

    fn leave(&self) -> Leaving {
        self.inner.leave()
    }
}

/// Keeps what it was told: one line a diff, such as `room +ada -bob`.
#[derive(Default, Clone)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl DiffHandler for Told {
    async fn handle_diff(&self, diff: Diff) {
        for topic in diff.topics {
            let joins = topic.joins.iter().map(|presence| format!(" +{}", presence.key()));
            let leaves = topic.leaves.iter().map(|presence| format!(" -{}", presence.key()));
            let line: String = std::iter::once(topic.topic.to_string()).chain(joins).chain(leaves).collect();
            self.0.lock().push(line);
        }
    }
}

pub(crate) fn start(pubsub: &PubSub, handler: impl DiffHandler) -> Tracker {
    Tracker::start(pubsub, "app", Options::default(), handler).expect("the defaults agree with each other")
}

/// Lets tasks run, and this much virtual time pass.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Long enough for one period to end and its delta to arrive, and for greetings before that.
pub(crate) const PERIOD: Duration = Duration::from_millis(1900);
