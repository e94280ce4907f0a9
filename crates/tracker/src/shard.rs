//! One shard of a tracker as a pure state machine: calls, messages and time in, messages and diffs out.
//!
//! The shard has no task, no clock and no I/O. [`ShardDriver`] calls it and sends the messages that it returns; the
//! simulation of the tests does the same with virtual time and a faulty network. All times are relative to the
//! tracker's start.
//!
//! The anti-entropy protocol:
//! - **Authority.** A node broadcasts only changes of its own presences, and answers only requests for them. No node
//!   relays another's state, so the presences of a dead node cannot return by way of a third one.
//! - **Periods.** A period ends with a delta of the changes in it, or with no message. After some silent periods it
//!   ends with a heartbeat.
//! - **Clocks.** Every message carries its sender's clock. A receiver whose copy ends before that clock requests a
//!   delta from the sender: at once when it has no copy yet, otherwise at the end of its own period, and again with
//!   growing pauses. One request to each node is in flight at a time. Its response is one message of bounded size, and
//!   triggers the next request. A node with complete copies sends no requests.
//! - **Joining.** A new node broadcasts a hello at its start and for its first periods, [`HELLOS`] in all. Each node
//!   responds with a greeting.
//! - **Failure detection.** A silent node is down after [`Options::down_period`]: its presences are hidden until its
//!   next message. After [`Options::permdown_period`] its copy is dropped. A new incarnation or a goodbye ends the old
//!   incarnation at once.
//!
//! Convergence: once messages pass again, all nodes agree after at most `max_silent_periods + 6` periods and the round
//! trips of the deltas (one for 256 KiB). A heartbeat is due within the former, and a lost request is repeated within
//! four.

mod driver;
mod membership;
mod peer;
mod replication;

pub(crate) use driver::ShardDriver;

use crate::crdt::{DeltaLimit, PresenceRecord, Replica, State};
use crate::diff::{Diff, PendingDiffs, TopicDiff};
use crate::message::{DELTA_LIMIT, Message, MessageKind};
use crate::options::Options;
use crate::telemetry;
use crate::view::View;
use bennu_pubsub::NodeName;
use membership::Departed;
use peer::Peer;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// The receiver; `None` for all other nodes.
    pub(crate) to: Option<NodeName>,
    pub(crate) message: Message,
}

pub(crate) struct Shard {
    replica: Replica,
    /// The shard's name in the cluster, part of the identity of its replicas.
    domain: Arc<str>,
    options: Options,
    state: State,
    peers: BTreeMap<NodeName, Peer>,
    /// The nodes that have sent a goodbye, for the permdown period.
    departed: BTreeMap<NodeName, Departed>,
    view: Arc<View>,
    pending: PendingDiffs,
    outgoing: Vec<Outgoing>,
    /// [`DELTA_LIMIT`], except in tests with small deltas.
    delta_limit: DeltaLimit,
    /// The last dot that was broadcast.
    published: u64,
    silent_periods: u32,
    hellos_left: u32,
    next_tick: Duration,
    last_nonce: u64,
    has_left: bool,
    /// Whether another node with this node's name has been logged.
    has_namesake: bool,
}

/// The hellos of a new node. If all of them are lost, the node discovers the others by their heartbeats.
const HELLOS: u32 = 3;

impl Shard {
    /// Creates a shard whose first period ends after `first_tick`. `domain` must be the same on all nodes.
    pub(crate) fn new(
        node: NodeName,
        incarnation: u64,
        domain: Arc<str>,
        options: Options,
        view: Arc<View>,
        first_tick: Duration,
    ) -> Self {
        let replica = Replica::new(node, incarnation, &domain);
        Shard {
            state: State::new(replica.clone(), options.max_delta_size),
            pending: PendingDiffs::new(options.diff_interval),
            replica,
            domain,
            options,
            peers: BTreeMap::new(),
            departed: BTreeMap::new(),
            view,
            outgoing: Vec::new(),
            delta_limit: DELTA_LIMIT,
            published: 0,
            silent_periods: 0,
            hellos_left: HELLOS,
            next_tick: first_tick,
            last_nonce: 1,
            has_left: false,
            has_namesake: false,
        }
    }

    /// Starts the shard. Returns the first hello.
    pub(crate) fn start(&mut self) -> Vec<Outgoing> {
        self.hello();
        std::mem::take(&mut self.outgoing)
    }

    /// Adds a presence of this node. Returns `None` when the shard has left.
    pub(crate) fn track(
        &mut self,
        now: Duration,
        topic: &str,
        key: &str,
        meta: Arc<RawValue>,
    ) -> Option<PresenceRecord> {
        if self.has_left {
            return None;
        }
        let topic = self.view.topic_name(topic).unwrap_or_else(|| topic.into());
        let presence = self.state.join(topic, key.into(), meta);
        self.apply(now, vec![presence.clone()], Vec::new());
        Some(presence)
    }

    /// Replaces the meta of a presence of this node. Returns `None` when the presence does not exist or the shard has
    /// left.
    pub(crate) fn update(&mut self, now: Duration, dot: u64, meta: Arc<RawValue>) -> Option<PresenceRecord> {
        if self.has_left {
            return None;
        }
        let (old, new) = self.state.update(dot, meta)?;
        self.view.replace(&old, new.clone());
        self.pending.leave(now, old);
        self.pending.join(now, new.clone());
        Some(new)
    }

    /// Removes a presence of this node.
    pub(crate) fn untrack(&mut self, now: Duration, dot: u64) {
        if self.has_left {
            return;
        }
        if let Some(left) = self.state.leave(dot) {
            self.apply(now, Vec::new(), vec![left]);
        }
    }

    /// Returns a presence of this node.
    pub(crate) fn get(&self, dot: u64) -> Option<&PresenceRecord> {
        self.state.get(dot)
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Returns the other nodes that are up, sorted.
    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.peers.values().filter(|peer| peer.up).map(|peer| peer.replica.node().clone()).collect()
    }

    /// Returns the time of the next [`Shard::tick`]; `None` when the shard has left.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        (!self.has_left).then_some(self.next_tick)
    }

    /// Returns the time of the next [`Shard::take_diff`]; `None` when nothing is pending.
    pub(crate) fn next_diff(&self) -> Option<Duration> {
        if self.has_left { None } else { self.pending.due() }
    }

    /// Takes the diff of one topic, if it is due.
    pub(crate) fn take_topic_diff(&mut self, now: Duration, topic: &str) -> Option<TopicDiff> {
        if self.has_left { None } else { self.pending.take_topic(now, topic) }
    }

    /// Takes all diffs that are due.
    pub(crate) fn take_diff(&mut self, now: Duration) -> Option<Diff> {
        if self.has_left { None } else { self.pending.take(now) }
    }

    /// Leaves the cluster. Returns the goodbye; afterwards the shard changes nothing and sends nothing.
    pub(crate) fn leave(&mut self) -> Vec<Outgoing> {
        if std::mem::replace(&mut self.has_left, true) {
            return Vec::new();
        }
        self.broadcast(Message::new(&self.replica, MessageKind::Goodbye, self.published));
        std::mem::take(&mut self.outgoing)
    }

    /// Ends a period: detects silent nodes, publishes changes, and requests missing ones.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Outgoing> {
        if self.has_left {
            return Vec::new();
        }
        let pause = now.saturating_sub(self.next_tick);
        if pause > self.options.broadcast_period {
            self.peers.values_mut().for_each(|peer| peer.discount(pause, now));
        }
        self.next_tick = now + self.options.broadcast_period;
        self.detect_silence(now);
        self.publish();
        let nodes: Vec<NodeName> = self.peers.keys().cloned().collect();
        nodes.iter().for_each(|node| self.request_missing(now, node));
        std::mem::take(&mut self.outgoing)
    }

    /// Processes a message. Messages of this node itself and invalid messages change nothing.
    pub(crate) fn receive(&mut self, now: Duration, message: &Message) -> Vec<Outgoing> {
        if self.has_left {
            return Vec::new();
        }
        telemetry::received(message.kind);
        if let Err(error) = message.check() {
            telemetry::invalid();
            let (node, what) = (&message.node, message.kind.name());
            tracing::debug!(%node, what, %error, "presence: dropped an invalid message");
            return Vec::new();
        }
        if *message.node == *self.replica.node().as_str() {
            // From this incarnation or an earlier one. A later one means that two running nodes have the same name.
            if message.incarnation > self.replica.incarnation() && !std::mem::replace(&mut self.has_namesake, true) {
                tracing::warn!(
                    node = %message.node,
                    "presence: another node has this node's name; the cluster lists the presences of only one of them"
                );
            }
            return Vec::new();
        }
        let node = NodeName::new(message.node.clone());
        if message.kind == MessageKind::Goodbye {
            self.receive_goodbye(now, &node, message.incarnation);
        } else if self.is_current(now, &node, message.incarnation) {
            self.receive_current(now, &node, message);
        }
        std::mem::take(&mut self.outgoing)
    }

    /// Applies joins and leaves to the view at once, and adds them to the pending diffs.
    fn apply(&mut self, now: Duration, joined: Vec<PresenceRecord>, left: Vec<PresenceRecord>) {
        self.view.apply(&joined, &left);
        for presence in left {
            self.pending.leave(now, presence);
        }
        for presence in joined {
            self.pending.join(now, presence);
        }
    }

    fn broadcast(&mut self, message: Message) {
        self.outgoing.push(Outgoing { to: None, message });
    }

    fn send(&mut self, node: &NodeName, message: Message) {
        self.outgoing.push(Outgoing { to: Some(node.clone()), message });
    }
}

#[cfg(test)]
mod tests;
