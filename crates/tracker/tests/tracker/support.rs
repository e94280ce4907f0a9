//! Nodes of one program with network partitions, and a handler that logs its diffs.

use bennu_pubsub::{
    Adapter, ClusterError, InProcess, Inbox, LeaveFuture, NodeName, PubSub, Publication, PublishError, Target,
};
use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A cluster whose nodes can be isolated from all others, without a notification.
#[derive(Default, Clone)]
pub(crate) struct Cluster {
    nodes: InProcess,
    isolated: Arc<Mutex<HashSet<String>>>,
}

impl Cluster {
    pub(crate) fn node(&self, name: &str) -> PubSub {
        let inner = Box::new(self.nodes.join(NodeName::new(name)));
        PubSub::new(PartitionedAdapter { inner, isolated: self.isolated.clone() })
    }

    pub(crate) fn isolate(&self, name: &str) {
        self.isolated.lock().insert(name.to_owned());
    }

    pub(crate) fn reconnect(&self) {
        self.isolated.lock().clear();
    }
}

/// Drops the messages from and to isolated nodes.
struct PartitionedAdapter {
    inner: Box<dyn Adapter>,
    isolated: Arc<Mutex<HashSet<String>>>,
}

impl PartitionedAdapter {
    fn passes(&self, to: &NodeName) -> bool {
        let isolated = self.isolated.lock();
        !isolated.contains(self.inner.node().as_str()) && !isolated.contains(to.as_str())
    }
}

impl Adapter for PartitionedAdapter {
    fn node(&self) -> &NodeName {
        self.inner.node()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.inner.nodes()
    }

    fn start(&self, inbox: Inbox) {
        self.inner.start(inbox);
    }

    fn publish(&self, target: Target, topic: &str, publication: &Publication) -> Result<(), PublishError> {
        let targets = match target {
            Target::Others => self.nodes().into_iter().filter(|node| node != self.node()).collect(),
            Target::Node(node) => vec![node],
        };
        for node in targets.into_iter().filter(|node| self.passes(node)) {
            self.inner.publish(Target::Node(node), topic, publication)?;
        }
        Ok(())
    }

    fn set_interest(&self, topic: &str, wanted: bool) {
        self.inner.set_interest(topic, wanted);
    }

    fn connect(&self, address: &str) -> Result<(), ClusterError> {
        self.inner.connect(address)
    }

    fn leave(&self) -> LeaveFuture {
        self.inner.leave()
    }
}

/// Logs each diff as one line, such as `room +ada -bob`.
#[derive(Default, Clone)]
pub(crate) struct DiffLog(Arc<Mutex<Vec<String>>>);

impl DiffLog {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl DiffHandler for DiffLog {
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
    Tracker::start(pubsub, "app", Options::default(), handler).expect("the defaults are consistent")
}

/// Advances the virtual time, and lets all tasks run.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The longest time until a period ends and its delta arrives, with the greetings before it.
pub(crate) const PERIOD: Duration = Duration::from_millis(1900);
