//! A node of a cluster as its adapter holds it, whichever engine carries its messages: what waits to be sent, what it
//! wants to hear, who else is there.
//!
//! Publishers and the table come in through the adapter and leave something here; whoever speaks to the engine is woken
//! and takes it. Invariants: no lock is held across an await, and none while another one is taken, but for the table's
//! own, under which [`Member::interest`] is called, and that of the others, under which events are told, so that they
//! come in the order of what happened.

use crate::Channel;
use crate::instrument::Instruments;
use crate::interest::{Change, Interest};
use crate::queue::{Queue, Rejected};
use bennu_pubsub::{Delivery, Header, Inbox, Incoming, Membership, NodeEvent, NodeName, PublishError, Target};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Room for a message's JSON, which grows when it is larger.
const USUAL: usize = 256;

/// One node.
pub struct Member {
    adapter: &'static str,
    node: NodeName,
    incarnation: u64,
    queue: Queue,
    interest: Mutex<Interest>,
    others: Mutex<Membership>,
    wake: Notify,
    /// Set once, by [`Member::leave`]. Looked at with whatever comes.
    leaving: AtomicBool,
    leaves: Notify,
    /// The largest payload that the engine takes.
    max_payload: AtomicUsize,
    clock: Instant,
    started: OnceLock<Started>,
}

/// What is there from [`bennu_pubsub::Adapter::start`] on.
struct Started {
    inbox: Inbox,
    instruments: Instruments,
}

impl Member {
    /// A node that nothing is heard of yet. At most `queue_bytes` wait for the engine, `max_payload` is the largest payload
    /// until [`Member::connected`] says another.
    pub fn new(adapter: &'static str, node: NodeName, queue_bytes: usize, max_payload: usize) -> Self {
        Member {
            adapter,
            incarnation: RandomState::new().hash_one(node.as_str()),
            queue: Queue::new(queue_bytes),
            interest: Mutex::default(),
            others: Mutex::new(Membership::new(node.clone())),
            node,
            wake: Notify::new(),
            leaving: AtomicBool::new(false),
            leaves: Notify::new(),
            max_payload: AtomicUsize::new(max_payload),
            clock: Instant::now(),
            started: OnceLock::new(),
        }
    }

    /// Says where messages go. Once; says whether it was the first time.
    pub fn start(&self, inbox: Inbox) -> bool {
        let started = Started { inbox, instruments: Instruments::new(self.adapter) };
        started.instruments.connected.set(0.0);
        self.started.set(started).is_ok()
    }

    fn started(&self) -> &Started {
        self.started.get().expect("an adapter is started before anything is published or received")
    }

    /// The metrics of the adapter.
    pub fn instruments(&self) -> &Instruments {
        &self.started().instruments
    }

    /// The adapter's name.
    pub fn adapter(&self) -> &'static str {
        self.adapter
    }

    /// The node's name.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Tells this run of the program from an earlier one under the same name.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    // What the application does.

    /// Hands a message's channel and frame to `send`.
    ///
    /// # Errors
    /// [`PublishError`] when the node is unknown or the message too large.
    pub fn publish(
        &self,
        target: &Target,
        topic: &str,
        delivery: &Delivery,
        send: impl FnOnce(Channel<'_>, &[u8]),
    ) -> Result<(), PublishError> {
        let refused = |reason: String| PublishError::Engine { adapter: self.adapter, topic: topic.to_owned(), reason };
        let to = match target {
            Target::Others => None,
            Target::Node(node) => {
                self.check_known(node)?;
                Some(node.as_str())
            }
        };
        let header = Header { from: self.node.as_str(), to, topic, kind: delivery.kind() };
        let mut frame = header.encode(USUAL).map_err(|error| refused(error.to_string()))?;
        delivery.write_json(&mut frame).map_err(|error| refused(error.to_string()))?;
        let limit = self.max_payload.load(Ordering::Relaxed).min(self.queue.limit());
        if frame.len() > limit {
            return Err(refused(format!("it takes {} bytes, the limit is {limit}", frame.len())));
        }
        send(to.map_or(Channel::Topic(topic), Channel::Node), &frame);
        Ok(())
    }

    /// Queues a message of about `len` bytes, which `write` puts as the engine's behind what waits. When the queue is full or
    /// the engine out of reach it is dropped, and counted.
    pub fn enqueue(&self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        match self.queue.push(len, write) {
            Ok(true) => self.wake.notify_one(),
            Ok(false) => {}
            Err(Rejected::Full) => self.instruments().dropped_full.increment(1),
            Err(Rejected::Closed) => self.instruments().dropped_disconnected.increment(1),
        }
    }

    fn check_known(&self, node: &NodeName) -> Result<(), PublishError> {
        let others = self.others.lock();
        if others.has(node) {
            return Ok(());
        }
        let known = others.nodes().iter().map(ToString::to_string).collect();
        Err(PublishError::UnknownNode { node: node.to_string(), known })
    }

    /// A topic is wanted from now on, or is not.
    pub fn interest(&self, topic: &str, wanted: bool) {
        if self.interest.lock().set(topic, wanted) {
            self.wake.notify_one();
        }
    }

    /// All nodes, this one included, sorted.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.others.lock().nodes()
    }

    /// No message is taken and none delivered from now on; what waits is still to be sent.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.leaves.notify_waiters();
        self.queue.close();
        self.wake.notify_one();
    }

    /// Whether this node leaves, or has left.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Returns when this node leaves.
    pub async fn left(&self) {
        // Told of what happens from here on, and not only once it is awaited.
        let leaves = self.leaves.notified();
        if !self.is_leaving() {
            leaves.await;
        }
    }

    // What whoever speaks to the engine does.

    /// What waits to be sent.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// There may be something to send or to tell.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns when there may be something to send or to tell. Cancellation safe: nothing is lost.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The next thing to tell the engine, which counts as told.
    pub fn next_change(&self) -> Option<Change> {
        self.interest.lock().next()
    }

    /// Whether the engine knows what this node wants.
    pub fn is_told(&self) -> bool {
        self.interest.lock().is_told()
    }

    /// The engine is there, and was told nothing yet. The gauge is the caller's.
    pub fn connected(&self, max_payload: usize) {
        self.max_payload.store(max_payload, Ordering::Relaxed);
        self.interest.lock().forget_subscriptions();
        if !self.is_leaving() {
            self.queue.open();
        }
    }

    /// The engine is gone: what waits is lost, and nobody can be heard.
    pub fn disconnected(&self) {
        self.queue.close();
        self.instruments().connected.set(0.0);
        self.instruments().dropped_disconnected.increment(self.queue.clear());
        self.tell(Membership::alone);
    }

    /// Who was silent for too long has left.
    pub fn expire(&self) {
        let now = self.now();
        self.tell(|others| others.expire(now));
    }

    /// On the clock of [`Member::tell`].
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Changes who is there, and tells the application.
    pub fn tell(&self, change: impl FnOnce(&mut Membership) -> Vec<NodeEvent>) {
        let mut others = self.others.lock();
        for event in change(&mut others) {
            self.started().inbox.node_event(event);
        }
    }

    /// Takes frames that have come together; `None` when this node leaves.
    pub fn incoming(&self) -> Option<Incoming<'_>> {
        (!self.is_leaving()).then(|| self.started().inbox.incoming())
    }

    /// Something came that is no message.
    pub fn garbage(&self, error: &dyn std::fmt::Display) {
        self.instruments().garbage.increment(1);
        tracing::debug!(adapter = self.adapter, %error, "an engine brought what is no message between nodes");
    }

    /// Somebody else has this node's name.
    pub fn report_namesake(&self) {
        tracing::error!(node = %self.node, adapter = self.adapter, "another node has this node's name");
    }
}
