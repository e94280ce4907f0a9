//! The adapter of a node that meets the others at a broker, and its one task: connect, run a session, try again.
//!
//! Invariants: the task ends when the node leaves, and is aborted when the adapter is dropped; an outage is reported once
//! when it begins and once when it is over, and shows as a gauge in between.

use crate::backoff::{self, Backoff};
use crate::session::{self, Ended};
use crate::shared::Shared;
use crate::{Engine, OpenError};
use bennu_pubsub::{Adapter, ConnectError, Delivery, Inbox, Leaving, NodeName, PublishError, Target};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long a connection may take until it can be published on: name, TCP, TLS, greeting.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long leaving may take: what waits is written, and the engine reads the goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A node's adapter on a broker.
pub struct Broker<E: Engine> {
    shared: Arc<Shared<E>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<E: Engine> Broker<E> {
    /// An adapter of that node. At most `queue_bytes` wait for the engine.
    pub fn new(engine: E, node: NodeName, queue_bytes: usize) -> Self {
        Broker { shared: Arc::new(Shared::new(engine, node, queue_bytes)), task: Mutex::new(None) }
    }
}

impl<E: Engine> Adapter for Broker<E> {
    fn node(&self) -> &NodeName {
        self.shared.member.node()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.shared.member.nodes()
    }

    /// # Panics
    /// Outside a Tokio runtime.
    fn start(&self, inbox: Inbox) {
        if self.shared.member.start(inbox) {
            *self.task.lock() = Some(tokio::spawn(run(self.shared.clone())));
        }
    }

    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        let Shared { engine, member, .. } = &*self.shared;
        member.publish(&target, topic, delivery, |channel, frame| {
            member.enqueue(frame.len(), |out| engine.publish(out, channel, frame));
        })
    }

    fn interest(&self, topic: &str, wanted: bool) {
        self.shared.member.interest(topic, wanted);
    }

    fn connect(&self, _address: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Unsupported { adapter: E::NAME, where_: E::MEETING })
    }

    fn leave(&self) -> Leaving {
        self.shared.member.leave();
        let task = self.task.lock().take();
        Box::pin(async move {
            let Some(mut task) = task else { return };
            if timeout(LEAVE_TIMEOUT, &mut task).await.is_err() {
                task.abort();
            }
        })
    }
}

impl<E: Engine> Drop for Broker<E> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
            self.shared.member.instruments().connected.set(0.0);
        }
    }
}

async fn run<E: Engine>(shared: Arc<Shared<E>>) {
    let mut backoff = Backoff::default();
    let mut outage = Outage::default();
    for attempt in 0.. {
        let opened = tokio::select! {
            () = shared.member.left() => return,
            opened = timeout(OPEN_TIMEOUT, shared.engine.open(attempt)) => opened,
        };
        match opened {
            Ok(Ok(opened)) => {
                shared.connected(opened.max_payload);
                outage.over(&shared);
                let began = Instant::now();
                let ended = session::run(&shared, opened).await;
                shared.member.disconnected();
                match ended {
                    Ended::Left => return,
                    Ended::Lost(_) if shared.member.is_leaving() => return,
                    Ended::Lost(error) => outage.report(&shared, &error, false),
                }
                if began.elapsed() >= backoff::LONGEST {
                    backoff.reset();
                }
            }
            Ok(Err(error)) => outage.report(&shared, &error.to_string(), !matches!(error, OpenError::Unreachable(_))),
            Err(_) => outage.report(&shared, &format!("no connection within {OPEN_TIMEOUT:?}"), false),
        }
        tokio::select! {
            () = shared.member.left() => return,
            () = tokio::time::sleep(backoff.wait()) => {}
        }
    }
}

/// What has been said of the engine's absence.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    /// The engine was there and did not want this node, which is another thing than not to be there.
    refused: bool,
    connected_once: bool,
}

impl Outage {
    fn report<E: Engine>(&mut self, shared: &Shared<E>, error: &str, refused: bool) {
        let (adapter, node) = (E::NAME, shared.member.node());
        let first = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        if first || (refused && !self.refused) {
            self.refused |= refused;
            tracing::error!(adapter, %node, error, "the engine is out of reach, trying again until it is back");
        } else {
            tracing::debug!(adapter, %node, error, "the engine is still out of reach");
        }
    }

    fn over<E: Engine>(&mut self, shared: &Shared<E>) {
        let (adapter, node) = (E::NAME, shared.member.node());
        if self.connected_once {
            shared.member.instruments().reconnects.increment(1);
        }
        match self.since.take() {
            Some(since) => tracing::info!(adapter, %node, after = ?since.elapsed(), "the engine is back"),
            None => tracing::info!(adapter, %node, "connected to the engine"),
        }
        *self = Outage { connected_once: true, ..Outage::default() };
    }
}
