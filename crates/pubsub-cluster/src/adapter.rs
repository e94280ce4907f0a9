//! The adapter of a node at a broker, and its one task.
//!
//! The application's PubSub calls the adapter. The task opens a connection, runs a [`session`], and reconnects until
//! the node leaves. Invariants: the task ends when the node leaves, and is aborted when the adapter is dropped; an
//! outage is logged once at its begin and once at its end, and a gauge shows it in between.

use crate::backoff::{self, Backoff};
use crate::session::{self, SessionEnd};
use crate::shared::Shared;
use crate::{Engine, OpenError};
use bennu_pubsub::{Adapter, ClusterError, Inbox, LeaveFuture, NodeName, Publication, PublishError, Target};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The limit for opening a connection: name lookup, TCP, TLS and greeting.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for leaving: the queue is written, and the engine reads the goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A node's adapter at a broker.
pub struct BrokerAdapter<E: Engine> {
    shared: Arc<Shared<E>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<E: Engine> BrokerAdapter<E> {
    /// Returns the adapter of a node, with a queue of at most `queue_bytes` towards the engine.
    pub fn new(engine: E, node: NodeName, queue_bytes: usize) -> Self {
        BrokerAdapter { shared: Arc::new(Shared::new(engine, node, queue_bytes)), task: Mutex::new(None) }
    }
}

impl<E: Engine> Adapter for BrokerAdapter<E> {
    fn node(&self) -> &NodeName {
        self.shared.node.name()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.shared.node.nodes()
    }

    /// # Panics
    /// Outside a Tokio runtime.
    fn start(&self, inbox: Inbox) {
        if self.shared.node.start(inbox) {
            *self.task.lock() = Some(tokio::spawn(run(self.shared.clone())));
        }
    }

    fn publish(&self, target: Target, topic: &str, publication: &Publication) -> Result<(), PublishError> {
        let Shared { engine, node, .. } = &*self.shared;
        node.publish(&target, topic, publication, |subject, frame| {
            node.enqueue(frame.len(), |out| engine.publish(out, subject, frame));
        })
    }

    fn set_interest(&self, topic: &str, wanted: bool) {
        self.shared.node.set_interest(topic, wanted);
    }

    fn connect(&self, _address: &str) -> Result<(), ClusterError> {
        Err(ClusterError::Unsupported { adapter: E::NAME, meeting_point: E::MEETING_POINT })
    }

    fn leave(&self) -> LeaveFuture {
        self.shared.node.leave();
        let task = self.task.lock().take();
        Box::pin(async move {
            let Some(mut task) = task else { return };
            if timeout(LEAVE_TIMEOUT, &mut task).await.is_err() {
                task.abort();
            }
        })
    }
}

impl<E: Engine> Drop for BrokerAdapter<E> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
            self.shared.node.instruments().connected.set(0.0);
        }
    }
}

async fn run<E: Engine>(shared: Arc<Shared<E>>) {
    let mut backoff = Backoff::default();
    let mut outage = Outage::default();
    for attempt in 0.. {
        let opened = tokio::select! {
            () = shared.node.wait_for_leave() => return,
            opened = timeout(OPEN_TIMEOUT, shared.engine.open(attempt)) => opened,
        };
        match opened {
            Ok(Ok(opened)) => {
                shared.set_connected(opened.max_payload);
                outage.end(&shared);
                let began = Instant::now();
                let ended = session::run(&shared, opened).await;
                shared.node.set_disconnected();
                match ended {
                    SessionEnd::Left => return,
                    SessionEnd::Lost(_) if shared.node.is_leaving() => return,
                    SessionEnd::Lost(error) => outage.report(&shared, &error, false),
                }
                if began.elapsed() >= backoff::MAX_WAIT {
                    backoff.reset();
                }
            }
            Ok(Err(error)) => outage.report(&shared, &error.to_string(), !matches!(error, OpenError::Unreachable(_))),
            Err(_) => outage.report(&shared, &format!("could not connect within {OPEN_TIMEOUT:?}"), false),
        }
        tokio::select! {
            () = shared.node.wait_for_leave() => return,
            () = tokio::time::sleep(backoff.next_wait()) => {}
        }
    }
}

/// The state of the outage log.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    /// The engine answered and refused this node. A refusal is logged even if an outage was logged before.
    refused: bool,
    connected_once: bool,
}

impl Outage {
    fn report<E: Engine>(&mut self, shared: &Shared<E>, error: &str, refused: bool) {
        let (adapter, node) = (E::NAME, shared.node.name());
        let first = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        if first || (refused && !self.refused) {
            self.refused |= refused;
            tracing::error!(adapter, %node, error, "the engine is out of reach, trying again until it is back");
        } else {
            tracing::debug!(adapter, %node, error, "the engine is still out of reach");
        }
    }

    fn end<E: Engine>(&mut self, shared: &Shared<E>) {
        let (adapter, node) = (E::NAME, shared.node.name());
        if self.connected_once {
            shared.node.instruments().reconnects.increment(1);
        }
        match self.since.take() {
            Some(since) => tracing::info!(adapter, %node, after = ?since.elapsed(), "the engine is back"),
            None => tracing::info!(adapter, %node, "connected to the engine"),
        }
        *self = Outage { connected_once: true, ..Outage::default() };
    }
}
