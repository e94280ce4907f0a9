//! The adapter of a node: what the application calls. Nothing here waits.

use crate::address;
use crate::link::Link;
use crate::worker;
use bennu_pubsub::{Adapter, ConnectError, Delivery, Inbox, Leaving, NodeName, PublishError, Target};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long leaving may take: what waits is sent, and the connections are closed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Peer {
    link: Arc<Link>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Peer {
    pub(crate) fn new(link: Link) -> Self {
        Peer { link: Arc::new(link), ended: Mutex::new(None) }
    }
}

impl Adapter for Peer {
    fn node(&self) -> &NodeName {
        self.link.member.node()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.link.member.nodes()
    }

    /// # Panics
    /// When the system has no thread left.
    fn start(&self, inbox: Inbox) {
        if self.link.member.start(inbox) {
            let ended = worker::start(self.link.clone()).expect("the system has threads");
            *self.ended.lock() = Some(ended);
        }
    }

    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        self.link.member.publish(&target, topic, delivery, |channel, frame| self.link.publish(channel, frame))
    }

    fn interest(&self, topic: &str, wanted: bool) {
        self.link.member.interest(topic, wanted);
    }

    fn connect(&self, address: &str) -> Result<(), ConnectError> {
        self.link.name(&address::peer(address)?);
        Ok(())
    }

    fn leave(&self) -> Leaving {
        self.link.member.leave();
        let ended = self.ended.lock().take();
        Box::pin(async move {
            let Some(ended) = ended else { return };
            // After that the thread goes on by itself; the application does not wait for it.
            let _ = timeout(LEAVE_TIMEOUT, ended).await;
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.link.abandon();
    }
}
