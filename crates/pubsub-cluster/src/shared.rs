//! The state that the adapter of a broker, its task and both tasks of a session share.
//!
//! It owns the local node, the engine, and the replies that the reader queues for the writer. Invariant: a node's reply
//! to a hello follows its own hello, so its subscriptions are in effect.

use crate::control_message::ControlMessage;
use crate::local_node::LocalNode;
use crate::{Engine, Subject};
use bennu_pubsub::{Envelope, FrameReceiver, Header, NodeName};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The limit of the queued replies in bytes. Further replies are dropped: the next heartbeat has the same content.
const MAX_REPLY_BYTES: usize = 64 << 10;

pub(crate) struct Shared<E> {
    pub(crate) engine: E,
    pub(crate) node: LocalNode,
    /// Bytes that the reader queues for the writer: pongs, and heartbeats for new nodes.
    replies: Mutex<Vec<u8>>,
    /// Set with each read; the watch clears it.
    pub(crate) received: AtomicBool,
    /// Whether this session's hello is written.
    hello_sent: AtomicBool,
    /// The number of control messages from other nodes with this node's name.
    duplicate_names: AtomicU32,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(engine: E, node: NodeName, queue_bytes: usize) -> Self {
        Shared {
            engine,
            node: LocalNode::new(E::NAME, node, queue_bytes, E::MAX_PAYLOAD),
            replies: Mutex::default(),
            received: AtomicBool::new(false),
            hello_sent: AtomicBool::new(false),
            duplicate_names: AtomicU32::new(0),
        }
    }

    /// Resets the state for a new connection.
    pub(crate) fn set_connected(&self, max_payload: usize) {
        self.replies.lock().clear();
        self.hello_sent.store(false, Ordering::Relaxed);
        self.received.store(true, Ordering::Relaxed);
        self.node.set_connected(max_payload);
        self.node.instruments().connected.set(1.0);
    }

    /// Writes a control message for one node or for all.
    pub(crate) fn write_control(&self, out: &mut Vec<u8>, message: ControlMessage, to: Option<&str>) {
        let node = self.node.name();
        match message.encode(node, self.node.incarnation(), to) {
            Ok(frame) => self.engine.publish(out, to.map_or(Subject::Control, Subject::Node), &frame),
            Err(error) => {
                tracing::error!(%node, %error, "could not send a control message, since the node's name is too long")
            }
        }
    }

    /// Writes the hello. All subscriptions of this node must be written before.
    pub(crate) fn write_hello(&self, out: &mut Vec<u8>) {
        self.write_control(out, ControlMessage::Hello, None);
        self.hello_sent.store(true, Ordering::Release);
    }

    /// Appends the queued replies.
    pub(crate) fn take_replies(&self, out: &mut Vec<u8>) {
        out.append(&mut self.replies.lock());
    }

    /// Queues the answer to a ping of the engine.
    pub(crate) fn queue_pong(&self) {
        self.engine.pong(&mut self.replies.lock());
        self.node.wake();
    }

    /// Delivers a frame of a topic, or handles a control message of another subject.
    pub(crate) fn receive(&self, incoming: &mut FrameReceiver<'_>, topic: bool, frame: Bytes) {
        if !topic
            && let Ok(envelope) = Envelope::decode(&frame)
            && let Some(message) = ControlMessage::decode(&envelope)
        {
            match message {
                Ok((message, incarnation)) => self.receive_control(envelope.header, message, incarnation),
                Err(error) => self.node.count_garbage(&error),
            }
            return;
        }
        incoming.receive(frame);
    }

    fn receive_control(&self, header: Header<'_>, message: ControlMessage, incarnation: u64) {
        let node = &self.node;
        if header.from == node.name().as_str() {
            if incarnation != node.incarnation() {
                self.count_duplicate_name();
            }
            return;
        }
        if !header.is_for(node.name()) {
            return;
        }
        let sender = NodeName::new(header.from);
        let now = node.now();
        node.update_membership(|membership| match message {
            ControlMessage::Hello | ControlMessage::Heartbeat => membership.observe(&sender, incarnation, now),
            ControlMessage::Goodbye => membership.remove(&sender, incarnation).into_iter().collect(),
        });
        // Before this node's own hello, its subscriptions may not be in effect. That hello then serves as the reply.
        if message == ControlMessage::Hello && self.hello_sent.load(Ordering::Acquire) {
            let mut replies = self.replies.lock();
            if replies.len() < MAX_REPLY_BYTES {
                self.write_control(&mut replies, ControlMessage::Heartbeat, Some(header.from));
            }
            drop(replies);
            node.wake();
        }
    }

    /// One such message may be a late one of an earlier run of this node. A second one comes from a running node.
    fn count_duplicate_name(&self) {
        if self.duplicate_names.fetch_add(1, Ordering::Relaxed) == 1 {
            self.node.report_duplicate_name();
        }
    }
}
