//! What the adapter, its task and the two halves of a session have in common.
//!
//! Publishers and the table come in through the adapter and leave something here; the session's writer is woken and takes
//! it. Invariants: no lock is held across an await, and none while another one is taken, but for the table's own, under
//! which [`Shared::interest`] is called.

use crate::instrument::Instruments;
use crate::interest::Interest;
use crate::queue::{Queue, Rejected};
use crate::word::Word;
use crate::{Channel, Engine};
use bennu_pubsub::{Delivery, Envelope, Inbox, Membership, NodeEvent, NodeName, PublishError, Target};
use bytes::Bytes;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{Notify, watch};

/// Answers to others that may wait. Past it they are not given: the next heartbeat says the same.
const MAX_ANSWERS: usize = 64 << 10;

pub(crate) struct Shared<E> {
    pub(crate) engine: E,
    pub(crate) node: NodeName,
    /// Tells this run of the program from an earlier one under the same name.
    incarnation: u64,
    pub(crate) queue: Queue,
    pub(crate) interest: Mutex<Interest>,
    /// What the reader wants to be written: answers to pings and to new nodes.
    answers: Mutex<Vec<u8>>,
    members: Mutex<Members>,
    /// Wakes the session's writer.
    pub(crate) wake: Notify,
    /// Set once, by [`Shared::leave`].
    leaving: watch::Sender<bool>,
    /// Something was read since this was looked at.
    pub(crate) heard: AtomicBool,
    /// This session's hello was said.
    greeted: AtomicBool,
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

struct Members {
    others: Membership,
    /// How often another node was heard that has this node's name.
    namesakes: u32,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(engine: E, node: NodeName, queue_bytes: usize) -> Self {
        Shared {
            engine,
            incarnation: RandomState::new().hash_one(node.as_str()),
            queue: Queue::new(queue_bytes),
            interest: Mutex::default(),
            answers: Mutex::default(),
            members: Mutex::new(Members { others: Membership::new(node.clone()), namesakes: 0 }),
            node,
            wake: Notify::new(),
            leaving: watch::Sender::new(false),
            heard: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            max_payload: AtomicUsize::new(E::MAX_PAYLOAD),
            clock: Instant::now(),
            started: OnceLock::new(),
        }
    }

    /// Says where messages go. Once.
    pub(crate) fn start(&self, inbox: Inbox) -> bool {
        let started = Started { inbox, instruments: Instruments::new(E::NAME) };
        started.instruments.connected.set(0.0);
        self.started.set(started).is_ok()
    }

    fn started(&self) -> &Started {
        self.started.get().expect("an adapter is started before anything is published or received")
    }

    pub(crate) fn instruments(&self) -> &Instruments {
        &self.started().instruments
    }

    // What the application does.

    pub(crate) fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        let refused = |reason: String| PublishError::Engine { adapter: E::NAME, topic: topic.to_owned(), reason };
        let to = match &target {
            Target::Others => None,
            Target::Node(node) => {
                self.check_known(node)?;
                Some(node.as_str())
            }
        };
        let json = delivery.to_bytes().map_err(|error| refused(error.to_string()))?.into();
        let envelope = Envelope { from: self.node.as_str(), to, topic, kind: delivery.kind(), json };
        let frame = envelope.encode().map_err(|error| refused(error.to_string()))?;
        let limit = self.max_payload.load(Ordering::Relaxed).min(self.queue.limit());
        if frame.len() > limit {
            return Err(refused(format!("it takes {} bytes, the limit is {limit}", frame.len())));
        }
        let channel = to.map_or(Channel::Topic(topic), Channel::Node);
        match self.queue.push(frame.len(), |out| self.engine.publish(out, channel, &frame)) {
            Ok(true) => self.wake.notify_one(),
            Ok(false) => {}
            Err(Rejected::Full) => self.instruments().dropped_full.increment(1),
            Err(Rejected::Closed) => self.instruments().dropped_disconnected.increment(1),
        }
        Ok(())
    }

    fn check_known(&self, node: &NodeName) -> Result<(), PublishError> {
        let members = self.members.lock();
        if members.others.has(node) {
            return Ok(());
        }
        let known = members.others.nodes().iter().map(ToString::to_string).collect();
        Err(PublishError::UnknownNode { node: node.to_string(), known })
    }

    pub(crate) fn interest(&self, topic: &str, wanted: bool) {
        if self.interest.lock().set(topic, wanted) {
            self.wake.notify_one();
        }
    }

    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.members.lock().others.nodes()
    }

    /// No message is taken and none delivered from now on; the session ends when what waits is written.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
        self.queue.close();
        self.wake.notify_one();
    }

    pub(crate) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Returns when this node leaves.
    pub(crate) async fn left(&self) {
        // The sender is this very value, so there is no other way to end.
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    // What the session does.

    /// A connection is there.
    pub(crate) fn connected(&self, max_payload: usize) {
        self.max_payload.store(max_payload, Ordering::Relaxed);
        self.interest.lock().forget_subscriptions();
        self.answers.lock().clear();
        self.greeted.store(false, Ordering::Relaxed);
        self.heard.store(true, Ordering::Relaxed);
        if !self.is_leaving() {
            self.queue.open();
        }
        self.instruments().connected.set(1.0);
    }

    /// The connection is gone: what waits is lost, and nobody can be heard.
    pub(crate) fn disconnected(&self) {
        self.queue.close();
        self.instruments().connected.set(0.0);
        self.instruments().dropped_disconnected.increment(self.queue.clear());
        self.tell_members(Membership::alone);
    }

    /// Who was silent for too long has left.
    pub(crate) fn expire(&self) {
        let now = self.clock.elapsed();
        self.tell_members(|members| members.expire(now));
    }

    /// A word of this node's for the others.
    pub(crate) fn say(&self, out: &mut Vec<u8>, word: Word, to: Option<&str>) {
        match word.encode(&self.node, self.incarnation, to) {
            Ok(frame) => self.engine.publish(out, to.map_or(Channel::Control, Channel::Node), &frame),
            Err(error) => tracing::error!(node = %self.node, %error, "a node's name is too long to be told to others"),
        }
    }

    /// This node is there from now on, with all its subscriptions.
    pub(crate) fn greet(&self, out: &mut Vec<u8>) {
        self.say(out, Word::Hello, None);
        self.greeted.store(true, Ordering::Release);
    }

    /// Appends what the reader wants to be written.
    pub(crate) fn take_answers(&self, out: &mut Vec<u8>) {
        out.append(&mut self.answers.lock());
    }

    /// The engine wants an answer.
    pub(crate) fn answer_ping(&self) {
        self.engine.pong(&mut self.answers.lock());
        self.wake.notify_one();
    }

    /// Takes a frame that came on a topic, or on one of the channels on which nodes speak of themselves.
    pub(crate) fn receive(&self, topic: bool, frame: &Bytes) {
        if self.is_leaving() {
            return;
        }
        if !topic
            && let Ok(envelope) = Envelope::decode(frame)
            && let Some(word) = Word::read(&envelope)
        {
            match word {
                Ok((word, incarnation)) => self.hear(&envelope, word, incarnation),
                Err(error) => self.garbage(&error),
            }
            return;
        }
        self.started().inbox.receive(frame);
    }

    /// Something came that is no message.
    pub(crate) fn garbage(&self, error: &dyn std::fmt::Display) {
        self.instruments().garbage.increment(1);
        tracing::debug!(adapter = E::NAME, %error, "an engine brought what is no message between nodes");
    }

    fn hear(&self, envelope: &Envelope<'_>, word: Word, incarnation: u64) {
        if envelope.from == self.node.as_str() {
            if incarnation != self.incarnation {
                self.hear_namesake();
            }
            return;
        }
        if !envelope.is_for(&self.node) {
            return;
        }
        let node = NodeName::new(envelope.from);
        let now = self.clock.elapsed();
        self.tell_members(|members| match word {
            Word::Hello | Word::Here => members.heard(&node, incarnation, now),
            Word::Bye => members.left(&node, incarnation).into_iter().collect(),
        });
        // Before this node's own hello some of its subscriptions may not be in effect; that hello is answer enough.
        if word == Word::Hello && self.greeted.load(Ordering::Acquire) {
            let mut answers = self.answers.lock();
            if answers.len() < MAX_ANSWERS {
                self.say(&mut answers, Word::Here, Some(envelope.from));
            }
            drop(answers);
            self.wake.notify_one();
        }
    }

    /// The last word of an earlier run may come late; a second one comes from somebody who lives.
    fn hear_namesake(&self) {
        let mut members = self.members.lock();
        members.namesakes = members.namesakes.saturating_add(1);
        if members.namesakes == 2 {
            tracing::error!(node = %self.node, adapter = E::NAME, "another node has this node's name");
        }
    }

    /// Events are told under the lock, so that they come in the order of what happened.
    fn tell_members(&self, change: impl FnOnce(&mut Membership) -> Vec<NodeEvent>) {
        let mut members = self.members.lock();
        for event in change(&mut members.others) {
            self.started().inbox.node_event(event);
        }
    }
}
