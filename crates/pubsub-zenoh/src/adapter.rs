//! The adapter of a node, which the application's PubSub calls. No call waits.
//!
//! It owns the [`Shared`] state of the node; [`crate::worker`] does the work on a thread of its own.

use crate::address;
use crate::shared::Shared;
use crate::worker;
use bennu_pubsub::{Adapter, ClusterError, Inbox, LeaveFuture, NodeName, Publication, PublishError, Target};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The limit for leaving: the queue is sent, and the connections are closed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct ZenohAdapter {
    shared: Arc<Shared>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl ZenohAdapter {
    pub(crate) fn new(shared: Shared) -> Self {
        ZenohAdapter { shared: Arc::new(shared), ended: Mutex::new(None) }
    }
}

impl Adapter for ZenohAdapter {
    fn node(&self) -> &NodeName {
        self.shared.node.name()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.shared.node.nodes()
    }

    /// # Panics
    /// When the system cannot start a thread.
    fn start(&self, inbox: Inbox) {
        if self.shared.node.start(inbox) {
            let ended = worker::start(self.shared.clone()).expect("the system can start a thread");
            *self.ended.lock() = Some(ended);
        }
    }

    fn publish(&self, target: Target, topic: &str, publication: &Publication) -> Result<(), PublishError> {
        self.shared.node.publish(&target, topic, publication, |subject, frame| self.shared.publish(subject, frame))
    }

    fn set_interest(&self, topic: &str, wanted: bool) {
        self.shared.node.set_interest(topic, wanted);
    }

    fn connect(&self, address: &str) -> Result<(), ClusterError> {
        self.shared.add_address(&address::parse_peer(address)?);
        Ok(())
    }

    fn leave(&self) -> LeaveFuture {
        self.shared.node.leave();
        let ended = self.ended.lock().take();
        Box::pin(async move {
            let Some(ended) = ended else { return };
            // After the timeout the thread continues by itself; the application does not wait for it.
            let _ = timeout(LEAVE_TIMEOUT, ended).await;
        })
    }
}

impl Drop for ZenohAdapter {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}
