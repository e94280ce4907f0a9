//! The state of the local node that every adapter needs: send queue, interest, membership and instruments.
//!
//! The application calls it through its adapter and leaves messages and changes in it. The task or thread of the
//! adapter is woken, takes them and sends them to the engine. Invariants: no lock is held across an await. No lock is
//! taken while another one is held, with two exceptions: [`LocalNode::set_interest`] is called under a lock of the
//! topic table, and node events are delivered under the lock of the membership, so that they keep their order.

use crate::Subject;
use crate::instrument::Instruments;
use crate::interest::{Interest, InterestChange};
use crate::queue::{Rejected, SendQueue};
use bennu_pubsub::{FrameReceiver, Header, Inbox, Membership, NodeEvent, NodeName, Publication, PublishError, Target};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The initial capacity for a message's JSON.
const USUAL_BYTES: usize = 256;

/// The local node.
pub struct LocalNode {
    adapter: &'static str,
    name: NodeName,
    incarnation: u64,
    queue: SendQueue,
    interest: Mutex<Interest>,
    membership: Mutex<Membership>,
    wake: Notify,
    /// Set once, by [`LocalNode::leave`], and read with each received batch.
    leaving: AtomicBool,
    leaves: Notify,
    /// The largest payload of the engine.
    max_payload: AtomicUsize,
    clock: Instant,
    started: OnceLock<Started>,
}

/// The parts that exist from [`bennu_pubsub::Adapter::start`] on.
struct Started {
    inbox: Inbox,
    instruments: Instruments,
}

impl LocalNode {
    /// Returns a node without a connection. The queue takes at most `queue_bytes`. The largest payload is `max_payload`
    /// until [`LocalNode::set_connected`] changes it.
    pub fn new(adapter: &'static str, name: NodeName, queue_bytes: usize, max_payload: usize) -> Self {
        LocalNode {
            adapter,
            incarnation: RandomState::new().hash_one(name.as_str()),
            queue: SendQueue::new(queue_bytes),
            interest: Mutex::default(),
            membership: Mutex::new(Membership::new(name.clone())),
            name,
            wake: Notify::new(),
            leaving: AtomicBool::new(false),
            leaves: Notify::new(),
            max_payload: AtomicUsize::new(max_payload),
            clock: Instant::now(),
            started: OnceLock::new(),
        }
    }

    /// Sets the inbox. Returns whether this was the first call; later calls change nothing.
    pub fn start(&self, inbox: Inbox) -> bool {
        let started = Started { inbox, instruments: Instruments::new(self.adapter) };
        started.instruments.connected.set(0.0);
        self.started.set(started).is_ok()
    }

    fn started(&self) -> &Started {
        self.started.get().expect("an adapter is started before anything is published or received")
    }

    /// Returns the instruments of the adapter.
    pub fn instruments(&self) -> &Instruments {
        &self.started().instruments
    }

    /// Returns the adapter's name.
    pub fn adapter(&self) -> &'static str {
        self.adapter
    }

    /// Returns the node's name.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Returns the random number that distinguishes this run of the program from an earlier one under the same name.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    // The calls of the application.

    /// Passes a message's subject and frame to `send`.
    ///
    /// # Errors
    /// [`PublishError`] when the target node is unknown or the message is larger than the limit.
    pub fn publish(
        &self,
        target: &Target,
        topic: &str,
        publication: &Publication,
        send: impl FnOnce(Subject<'_>, &[u8]),
    ) -> Result<(), PublishError> {
        let refused = |reason: String| PublishError::Engine { adapter: self.adapter, topic: topic.to_owned(), reason };
        let to = match target {
            Target::Others => None,
            Target::Node(node) => {
                self.check_known(node)?;
                Some(node.as_str())
            }
        };
        let header = Header { from: self.name.as_str(), to, topic, kind: publication.kind() };
        let mut frame = header.encode(USUAL_BYTES).map_err(|error| refused(error.to_string()))?;
        publication.write_json(&mut frame).map_err(|error| refused(error.to_string()))?;
        let limit = self.max_payload.load(Ordering::Relaxed).min(self.queue.limit());
        if frame.len() > limit {
            return Err(refused(format!("the message has {} bytes, the limit is {limit}", frame.len())));
        }
        send(to.map_or(Subject::Topic(topic), Subject::Node), &frame);
        Ok(())
    }

    /// Queues a message of about `len` bytes, which `write` appends in the engine's protocol. When the queue is full or
    /// the engine is out of reach, the message is dropped and counted.
    pub fn enqueue(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        match self.queue.push(len, write) {
            Ok(true) => self.wake.notify_one(),
            Ok(false) => {}
            Err(Rejected::Full) => self.instruments().dropped_full.increment(1),
            Err(Rejected::Closed) => self.instruments().dropped_disconnected.increment(1),
        }
    }

    fn check_known(&self, node: &NodeName) -> Result<(), PublishError> {
        let membership = self.membership.lock();
        if membership.contains(node) {
            return Ok(());
        }
        let known = membership.nodes().iter().map(ToString::to_string).collect();
        Err(PublishError::UnknownNode { node: node.to_string(), known })
    }

    /// Adds a topic to the interest or removes it.
    pub fn set_interest(&self, topic: &str, wanted: bool) {
        if self.interest.lock().set(topic, wanted) {
            self.wake.notify_one();
        }
    }

    /// Returns all nodes, this one included, sorted.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.membership.lock().nodes()
    }

    /// Starts to leave. No further message is accepted or delivered; the queue is still to be sent.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.leaves.notify_waiters();
        self.queue.close();
        self.wake.notify_one();
    }

    /// Returns whether this node is leaving or has left.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Waits until this node leaves.
    pub async fn wait_for_leave(&self) {
        // Registered before the check, so that no notification is lost in between.
        let leaves = self.leaves.notified();
        if !self.is_leaving() {
            leaves.await;
        }
    }

    // The calls of the task or thread that sends to the engine.

    /// Returns the send queue.
    pub fn queue(&self) -> &SendQueue {
        &self.queue
    }

    /// Wakes the task or thread that sends to the engine.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there may be something to send: a message, a change of the interest, a leave, or a call of
    /// [`LocalNode::wake`]. Cancel safe: no wake is lost.
    pub async fn wait_for_wake(&self) {
        self.wake.notified().await;
    }

    /// Returns the next change for the engine, which then counts as sent.
    pub fn next_change(&self) -> Option<InterestChange> {
        self.interest.lock().next()
    }

    /// Returns whether the engine has every change of the interest.
    pub fn is_synchronized(&self) -> bool {
        self.interest.lock().is_synchronized()
    }

    /// Opens the queue for a new connection, to which the whole interest is pending. The caller sets the gauge.
    pub fn set_connected(&self, max_payload: usize) {
        self.max_payload.store(max_payload, Ordering::Relaxed);
        self.interest.lock().reset();
        if !self.is_leaving() {
            self.queue.open();
        }
    }

    /// Closes the queue, counts its messages as dropped, and removes all other nodes.
    pub fn set_disconnected(&self) {
        self.queue.close();
        self.instruments().connected.set(0.0);
        self.instruments().dropped_disconnected.increment(self.queue.clear());
        self.update_membership(Membership::clear);
    }

    /// Removes the nodes whose heartbeats are missing.
    pub fn expire(&self) {
        let now = self.now();
        self.update_membership(|membership| membership.expire(now));
    }

    /// Returns the time on the clock of the membership.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Changes the membership, and delivers the resulting events to the application.
    pub fn update_membership(&self, change: impl FnOnce(&mut Membership) -> Vec<NodeEvent>) {
        let mut membership = self.membership.lock();
        for event in change(&mut membership) {
            self.started().inbox.node_event(event);
        }
    }

    /// Returns a receiver for the frames of one read; `None` when this node leaves.
    pub fn incoming(&self) -> Option<FrameReceiver<'_>> {
        (!self.is_leaving()).then(|| self.started().inbox.incoming())
    }

    /// Counts bytes that are not a message.
    pub fn count_garbage(&self, error: &dyn std::fmt::Display) {
        self.instruments().garbage.increment(1);
        let adapter = self.adapter;
        tracing::debug!(adapter, %error, "the engine delivered bytes that are not a message between nodes");
    }

    /// Logs that another node has this node's name.
    pub fn report_duplicate_name(&self) {
        tracing::error!(node = %self.name, adapter = self.adapter, "another node has this node's name");
    }
}
