//! One shard of a tracker as a pure state machine: `(call | message | time) -> messages to send`, and diffs to tell.
//!
//! No task, no clock, no I/O: [`crate::tracker`] feeds it and sends what it returns; the simulation does the same with
//! virtual time and a bad network. Times are since the tracker's start.
//!
//! How nodes learn of each other's presences:
//! - **Each speaks for itself.** A node broadcasts changes of its own presences and answers for them, and passes
//!   nothing on. So nobody can bring back what a dead node had, and nobody but the one asked has anything to do.
//! - **A period** ends in a delta of what changed, or in nothing; after some silent periods, in a heartbeat.
//! - **Every message carries its sender's clock.** Who knows less asks the sender, at once when it knows nothing yet,
//!   else when its own period ends, and again with growing pauses. One ask is under way for each node; an answer is one
//!   message of bounded size, and brings on the next ask. With nothing missing, nothing is asked.
//! - **A node that starts says hello** for [`HELLOS`] periods, and is greeted by each.
//! - **A silent node** is down after a while: its presences are hidden, and appear again when it does. Later it is
//!   forgotten. A new life of a node, or its goodbye, ends the old one at once.
//!
//! Healing: once messages pass again, all nodes agree after at most `max_silent_periods + 6` periods and the round
//! trips of the pieces (one for 256 KiB): a heartbeat is due within the former, and an ask that was lost is repeated
//! within four.

use crate::diff::{Diff, Pending, TopicDiff};
use crate::message::{Ask, Message, ROOM, What, WirePiece};
use crate::options::Options;
use crate::peer::{Liveness, Peer};
use crate::presence::Presence;
use crate::replica::Replica;
use crate::state::{Room, State};
use crate::telemetry;
use crate::view::View;
use bennu_pubsub::NodeName;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A message, and to whom: all other nodes, or one.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) to: Option<NodeName>,
    pub(crate) message: Message,
}

pub(crate) struct Shard {
    me: Replica,
    /// The shard's name in the cluster, which its replicas' references depend on.
    domain: Arc<str>,
    options: Options,
    state: State,
    peers: BTreeMap<NodeName, Peer>,
    departed: BTreeMap<NodeName, Departed>,
    view: Arc<View>,
    pending: Pending,
    outgoing: Vec<Outgoing>,
    /// [`ROOM`], but in tests, where pieces are small.
    room: Room,
    /// The dot up to which others were told.
    published: u64,
    silent_periods: u32,
    hellos: u32,
    next_tick: Duration,
    next_nonce: u64,
    over: bool,
    /// Another node has this one's name, which was logged.
    has_twin: bool,
}

/// A node that said goodbye. Its late messages do not bring it back.
struct Departed {
    incarnation: u64,
    at: Duration,
}

/// How often a new node asks who is there. If all of them are lost, it learns of the others by their heartbeats.
const HELLOS: u32 = 3;

impl Shard {
    /// A shard whose first period ends after `first_tick`. `domain` must be the same on all nodes.
    pub(crate) fn new(
        node: NodeName,
        incarnation: u64,
        domain: Arc<str>,
        options: Options,
        view: Arc<View>,
        first_tick: Duration,
    ) -> Self {
        let me = Replica::new(node, incarnation, &domain);
        Shard {
            state: State::new(me.clone(), options.max_delta_size),
            pending: Pending::new(options.diff_interval),
            me,
            domain,
            options,
            peers: BTreeMap::new(),
            departed: BTreeMap::new(),
            view,
            outgoing: Vec::new(),
            room: ROOM,
            published: 0,
            silent_periods: 0,
            hellos: HELLOS,
            next_tick: first_tick,
            next_nonce: 1,
            over: false,
            has_twin: false,
        }
    }

    /// Says hello.
    pub(crate) fn start(&mut self) -> Vec<Outgoing> {
        self.hello();
        std::mem::take(&mut self.outgoing)
    }

    /// Somebody came. `None` when the shard is over.
    pub(crate) fn track(&mut self, now: Duration, topic: &str, key: &str, meta: Arc<RawValue>) -> Option<Presence> {
        if self.over {
            return None;
        }
        let topic = self.view.name(topic).unwrap_or_else(|| topic.into());
        let presence = self.state.join(topic, key.into(), meta);
        self.show(now, vec![presence.clone()], Vec::new());
        Some(presence)
    }

    /// Replaces a presence of this node. `None` when it is not there (any more).
    pub(crate) fn update(&mut self, now: Duration, dot: u64, meta: Arc<RawValue>) -> Option<Presence> {
        if self.over {
            return None;
        }
        let (old, new) = self.state.update(dot, meta)?;
        self.view.replace(&old, new.clone());
        self.pending.leave(now, old);
        self.pending.join(now, new.clone());
        Some(new)
    }

    /// Somebody went.
    pub(crate) fn untrack(&mut self, now: Duration, dot: u64) {
        if self.over {
            return;
        }
        if let Some(left) = self.state.leave(dot) {
            self.show(now, Vec::new(), vec![left]);
        }
    }

    /// A presence of this node.
    pub(crate) fn get(&self, dot: u64) -> Option<&Presence> {
        self.state.get(dot)
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.me
    }

    /// Other nodes that are up, sorted.
    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.peers.values().filter(|peer| peer.up).map(|peer| peer.replica.node().clone()).collect()
    }

    /// When [`Shard::tick`] is to be called. `None` when the shard is over.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        (!self.over).then_some(self.next_tick)
    }

    /// When there is a diff to take. `None` when nothing is pending.
    pub(crate) fn next_diff(&self) -> Option<Duration> {
        if self.over { None } else { self.pending.due() }
    }

    /// What is to be told of one topic now.
    pub(crate) fn take_diff_of(&mut self, now: Duration, topic: &str) -> Option<TopicDiff> {
        if self.over { None } else { self.pending.take_topic(now, topic) }
    }

    /// What a handler is to be told now.
    pub(crate) fn take_diff(&mut self, now: Duration) -> Option<Diff> {
        if self.over { None } else { self.pending.take(now) }
    }

    /// Says goodbye and ends: nothing changes any more, and nothing is told.
    pub(crate) fn leave(&mut self) -> Vec<Outgoing> {
        if std::mem::replace(&mut self.over, true) {
            return Vec::new();
        }
        self.broadcast(Message::new(&self.me, What::Goodbye, self.published));
        std::mem::take(&mut self.outgoing)
    }

    /// A period ends.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Outgoing> {
        if self.over {
            return Vec::new();
        }
        let standstill = now.saturating_sub(self.next_tick);
        if standstill > self.options.broadcast_period {
            self.peers.values_mut().for_each(|peer| peer.excuse(standstill, now));
        }
        self.next_tick = now + self.options.broadcast_period;
        self.find_silent(now);
        self.publish();
        let incomplete: Vec<NodeName> = self.peers.keys().cloned().collect();
        incomplete.iter().for_each(|node| self.ask(now, node));
        std::mem::take(&mut self.outgoing)
    }

    /// A message of another node, or one's own.
    pub(crate) fn receive(&mut self, now: Duration, message: &Message) -> Vec<Outgoing> {
        if self.over {
            return Vec::new();
        }
        telemetry::received(message.what);
        if let Err(garbage) = message.check() {
            telemetry::garbage();
            tracing::debug!(node = %message.node, what = message.what.name(), %garbage, "presence: garbage");
            return Vec::new();
        }
        if *message.node == *self.me.node().as_str() {
            // Oneself, or what an earlier life of this node had sent. A later one means that two nodes share a name.
            if message.incarnation > self.me.incarnation() && !std::mem::replace(&mut self.has_twin, true) {
                tracing::warn!(node = %message.node, "presence: another node has this name; others see only one");
            }
            return Vec::new();
        }
        let node = NodeName::new(message.node.clone());
        if message.what == What::Goodbye {
            self.goodbye(now, &node, message.incarnation);
        } else if self.is_current(now, &node, message.incarnation) {
            self.hear(now, &node, message);
        }
        std::mem::take(&mut self.outgoing)
    }

    /// Whether a message is of the life that its node is known by, or a later one.
    fn is_current(&self, now: Duration, node: &NodeName, incarnation: u64) -> bool {
        if let Some(departed) = self.departed.get(node) {
            // What is older than the departed is late too, but for one whose wall clock was set back meanwhile.
            let late = now.saturating_sub(departed.at) <= self.options.down_period;
            if incarnation == departed.incarnation || (late && incarnation < departed.incarnation) {
                return false;
            }
        }
        self.peers.get(node).is_none_or(|peer| !peer.up || incarnation >= peer.replica.incarnation())
    }

    fn hear(&mut self, now: Duration, node: &NodeName, message: &Message) {
        if self.peers.get(node).is_some_and(|peer| peer.replica.incarnation() != message.incarnation) {
            // A node that starts again has nothing of what it had.
            self.forget(now, node, "restarted");
        }
        let new = !self.peers.contains_key(node);
        let peer = self.peers.entry(node.clone()).or_insert_with(|| {
            tracing::info!(%node, incarnation = message.incarnation, "presence: node up");
            Peer::new(Replica::new(node.clone(), message.incarnation, &self.domain), now)
        });
        peer.hear(now, message.clock);
        let replica = peer.replica.clone();
        if new || !std::mem::replace(&mut peer.up, true) {
            let joined = self.state.up(&replica);
            self.show(now, joined, Vec::new());
        }
        if message.what == What::Hello || (new && message.what != What::Greeting) {
            self.send(node, Message::new(&self.me, What::Greeting, self.published));
        }
        if let Some(ask) = message.ask.filter(|ask| ask.of == self.me.incarnation()) {
            self.answer(node, ask);
        }
        match (message.what, &message.piece) {
            (What::Delta, Some(piece)) => drop(self.merge(now, &replica, piece)),
            (What::Answer, Some(piece)) => self.take_answer(now, node, &replica, piece),
            _ => {}
        }
        if self.state.complete_until(&replica) == 0 && self.peers.get(node).is_some_and(|peer| !peer.asked()) {
            // A node that is new here; what a known one has may be on its way, so that waits for the tick.
            self.ask(now, node);
        }
    }

    fn merge(&mut self, now: Duration, replica: &Replica, piece: &WirePiece) -> (u64, u64) {
        let piece = piece.read(replica, |topic| self.view.name(topic));
        let changes = self.state.merge(replica, piece.share);
        self.show(now, changes.joined, changes.left);
        (piece.until, piece.since)
    }

    fn take_answer(&mut self, now: Duration, node: &NodeName, replica: &Replica, piece: &WirePiece) {
        // A piece that is not the next one may say that a presence has gone without covering it.
        if !self.peers.get(node).is_some_and(|peer| peer.expects(piece.nonce)) {
            return;
        }
        let reached = self.merge(now, replica, piece);
        let complete = self.state.complete_until(replica);
        let nonce = self.nonce();
        let period = self.options.broadcast_period;
        if let Some(peer) = self.peers.get_mut(node) {
            let next = peer.answered(now, reached, complete, nonce, period);
            self.send_ask(node, next);
        }
    }

    /// Asks a node for what is missing, unless nothing is, or it was asked just now.
    fn ask(&mut self, now: Duration, node: &NodeName) {
        let nonce = self.nonce();
        let period = self.options.broadcast_period;
        if let Some(peer) = self.peers.get_mut(node).filter(|peer| peer.up) {
            let complete = self.state.complete_until(&peer.replica);
            let ask = peer.ask(now, complete, nonce, period);
            self.send_ask(node, ask);
        }
    }

    fn send_ask(&mut self, node: &NodeName, ask: Option<(u64, u64, u64)>) {
        let (Some((nonce, from, since)), Some(peer)) = (ask, self.peers.get(node)) else { return };
        let ask = Ask { of: peer.replica.incarnation(), nonce, from, since };
        self.send(node, Message::new(&self.me, What::Ask, self.published).ask(ask));
    }

    fn answer(&mut self, node: &NodeName, ask: Ask) {
        let piece = self.state.extract(ask.from, ask.since, self.room);
        // What is told here and was not published yet will be in a delta again, which changes nothing.
        self.send(node, Message::new(&self.me, What::Answer, self.published).piece(ask.nonce, piece));
    }

    fn nonce(&mut self) -> u64 {
        self.next_nonce += 1;
        self.next_nonce
    }

    /// The end of a period: what changed in it, or a sign of life when one is due.
    fn publish(&mut self) {
        self.silent_periods += 1;
        while self.published < self.state.clock() {
            self.silent_periods = 0;
            let piece = self.state.extract(self.published, self.published, self.room);
            if piece.from != self.published {
                // More has left in one period than is remembered. Nobody can be told what: all will ask.
                self.published = self.state.clock();
                self.broadcast(Message::new(&self.me, What::Heartbeat, self.published));
                break;
            }
            self.published = piece.until;
            self.broadcast(Message::new(&self.me, What::Delta, self.published).piece(0, piece));
        }
        if self.hellos > 0 {
            self.hello();
        } else if self.silent_periods >= self.options.max_silent_periods {
            self.silent_periods = 0;
            self.broadcast(Message::new(&self.me, What::Heartbeat, self.published));
        }
    }

    fn hello(&mut self) {
        self.hellos -= 1;
        self.silent_periods = 0;
        self.broadcast(Message::new(&self.me, What::Hello, self.published));
    }

    fn find_silent(&mut self, now: Duration) {
        let options = &self.options;
        let silent = self.peers.iter().map(|(node, peer)| (node.clone(), peer.liveness(now, options)));
        let silent: Vec<_> = silent.filter(|(_, liveness)| *liveness != Liveness::Up).collect();
        for (node, liveness) in silent {
            self.silence(now, &node);
            if liveness == Liveness::Gone {
                self.forget(now, &node, "silent for the permdown period");
            }
        }
        let remembered = self.options.permdown_period;
        self.departed.retain(|_, departed| now.saturating_sub(departed.at) <= remembered);
    }

    fn silence(&mut self, now: Duration, node: &NodeName) {
        let Some(peer) = self.peers.get_mut(node).filter(|peer| peer.up) else { return };
        tracing::info!(%node, "presence: node down");
        telemetry::node_down();
        peer.up = false;
        let left = self.state.down(&peer.replica);
        self.show(now, Vec::new(), left);
    }

    fn goodbye(&mut self, now: Duration, node: &NodeName, incarnation: u64) {
        let known = self.peers.get(node).map(|peer| peer.replica.incarnation());
        if known.is_some_and(|known| known > incarnation) {
            return;
        }
        self.forget(now, node, "said goodbye");
        let departed = self.departed.entry(node.clone()).or_insert(Departed { incarnation, at: now });
        if departed.incarnation < incarnation {
            *departed = Departed { incarnation, at: now };
        }
    }

    fn forget(&mut self, now: Duration, node: &NodeName, why: &'static str) {
        let Some(peer) = self.peers.remove(node) else { return };
        tracing::info!(%node, incarnation = peer.replica.incarnation(), why, "presence: node gone");
        let left = self.state.remove(&peer.replica);
        self.show(now, Vec::new(), left);
    }

    /// Readers see it now, the handler is told when its topic is due.
    fn show(&mut self, now: Duration, joined: Vec<Presence>, left: Vec<Presence>) {
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
