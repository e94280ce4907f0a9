//! What the adapter, its task and the two halves of a session have in common: the node, how its broker is spoken to, and
//! what nodes say to each other on it.

use crate::member::Member;
use crate::word::Word;
use crate::{Channel, Engine};
use bennu_pubsub::{Envelope, Header, Incoming, NodeName};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Answers to others that may wait. Past it they are not given: the next heartbeat says the same.
const MAX_ANSWERS: usize = 64 << 10;

pub(crate) struct Shared<E> {
    pub(crate) engine: E,
    pub(crate) member: Member,
    /// What the reader wants to be written: answers to pings and to new nodes.
    answers: Mutex<Vec<u8>>,
    /// Something was read since this was looked at.
    pub(crate) heard: AtomicBool,
    /// This session's hello was said.
    greeted: AtomicBool,
    /// How often another node was heard that has this node's name.
    namesakes: AtomicU32,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(engine: E, node: NodeName, queue_bytes: usize) -> Self {
        Shared {
            engine,
            member: Member::new(E::NAME, node, queue_bytes, E::MAX_PAYLOAD),
            answers: Mutex::default(),
            heard: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            namesakes: AtomicU32::new(0),
        }
    }

    /// A connection is there.
    pub(crate) fn connected(&self, max_payload: usize) {
        self.answers.lock().clear();
        self.greeted.store(false, Ordering::Relaxed);
        self.heard.store(true, Ordering::Relaxed);
        self.member.connected(max_payload);
        self.member.instruments().connected.set(1.0);
    }

    /// A word of this node's for the others.
    pub(crate) fn say(&self, out: &mut Vec<u8>, word: Word, to: Option<&str>) {
        let node = self.member.node();
        match word.encode(node, self.member.incarnation(), to) {
            Ok(frame) => self.engine.publish(out, to.map_or(Channel::Control, Channel::Node), &frame),
            Err(error) => tracing::error!(%node, %error, "a node's name is too long to be told to others"),
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
        self.member.wake();
    }

    /// Takes a frame that came on a topic, or on one of the channels on which nodes speak of themselves.
    pub(crate) fn receive(&self, incoming: &mut Incoming<'_>, topic: bool, frame: Bytes) {
        if !topic
            && let Ok(envelope) = Envelope::decode(&frame)
            && let Some(word) = Word::read(&envelope)
        {
            match word {
                Ok((word, incarnation)) => self.hear(envelope.header, word, incarnation),
                Err(error) => self.member.garbage(&error),
            }
            return;
        }
        incoming.receive(frame);
    }

    fn hear(&self, header: Header<'_>, word: Word, incarnation: u64) {
        let member = &self.member;
        if header.from == member.node().as_str() {
            if incarnation != member.incarnation() {
                self.hear_namesake();
            }
            return;
        }
        if !header.is_for(member.node()) {
            return;
        }
        let node = NodeName::new(header.from);
        let now = member.now();
        member.tell(|others| match word {
            Word::Hello | Word::Here => others.heard(&node, incarnation, now),
            Word::Bye => others.left(&node, incarnation).into_iter().collect(),
        });
        // Before this node's own hello some of its subscriptions may not be in effect; that hello is answer enough.
        if word == Word::Hello && self.greeted.load(Ordering::Acquire) {
            let mut answers = self.answers.lock();
            if answers.len() < MAX_ANSWERS {
                self.say(&mut answers, Word::Here, Some(header.from));
            }
            drop(answers);
            member.wake();
        }
    }

    /// The last word of an earlier run may come late; a second one comes from somebody who lives.
    fn hear_namesake(&self) {
        if self.namesakes.fetch_add(1, Ordering::Relaxed) == 1 {
            self.member.report_namesake();
        }
    }
}
