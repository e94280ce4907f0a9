//! Membership: which nodes are up, and in which incarnation.
//!
//! The shard calls this module with each message of another node, and at the end of each period. A node has one
//! incarnation at a time; messages of an earlier one are ignored, a message of a later one ends the earlier one. Every
//! transition updates the state, the view and the pending diffs together.

use super::Shard;
use super::peer::{Liveness, Peer};
use crate::crdt::Replica;
use crate::message::Message;
use crate::telemetry;
use bennu_pubsub::NodeName;
use std::time::Duration;

/// A node that has sent a goodbye. Late messages of that incarnation do not bring it back.
pub(super) struct Departed {
    incarnation: u64,
    at: Duration,
}

impl Shard {
    /// Returns whether a message is of the known incarnation of its node, or of a later one.
    pub(super) fn is_current(&self, now: Duration, node: &NodeName, incarnation: u64) -> bool {
        if let Some(departed) = self.departed.get(node) {
            // An earlier incarnation than the departed one is late too. After the down period no message is late: the
            // node has started again, and its wall clock was set back.
            let late = now.saturating_sub(departed.at) <= self.options.down_period;
            if incarnation == departed.incarnation || (late && incarnation < departed.incarnation) {
                return false;
            }
        }
        self.peers.get(node).is_none_or(|peer| !peer.up || incarnation >= peer.replica.incarnation())
    }

    /// Records that a node has sent a message: adds it, or marks it as up. Returns its replica, and whether it is new.
    pub(super) fn record_sender(&mut self, now: Duration, node: &NodeName, message: &Message) -> (Replica, bool) {
        if self.peers.get(node).is_some_and(|peer| peer.replica.incarnation() != message.incarnation) {
            // A node that has restarted has none of its earlier presences.
            self.remove_peer(now, node, "restarted");
        }
        let is_new = !self.peers.contains_key(node);
        let peer = self.peers.entry(node.clone()).or_insert_with(|| {
            tracing::info!(%node, incarnation = message.incarnation, "presence: node up");
            Peer::new(Replica::new(node.clone(), message.incarnation, &self.domain), now)
        });
        peer.record_message(now, message.clock);
        let replica = peer.replica.clone();
        if is_new || !std::mem::replace(&mut peer.up, true) {
            let joined = self.state.up(&replica);
            self.apply(now, joined, Vec::new());
        }
        (replica, is_new)
    }

    /// Removes a node that has sent a goodbye.
    pub(super) fn receive_goodbye(&mut self, now: Duration, node: &NodeName, incarnation: u64) {
        let known = self.peers.get(node).map(|peer| peer.replica.incarnation());
        if known.is_some_and(|known| known > incarnation) {
            return;
        }
        self.remove_peer(now, node, "sent a goodbye");
        let departed = self.departed.entry(node.clone()).or_insert(Departed { incarnation, at: now });
        if departed.incarnation < incarnation {
            *departed = Departed { incarnation, at: now };
        }
    }

    /// Marks silent nodes as down, and removes those that have been silent for the permdown period.
    pub(super) fn detect_silence(&mut self, now: Duration) {
        let options = &self.options;
        let silent = self.peers.iter().map(|(node, peer)| (node.clone(), peer.liveness(now, options)));
        let silent: Vec<_> = silent.filter(|(_, liveness)| *liveness != Liveness::Up).collect();
        for (node, liveness) in silent {
            self.mark_down(now, &node);
            if liveness == Liveness::Permdown {
                self.remove_peer(now, &node, "silent for the permdown period");
            }
        }
        let retention = self.options.permdown_period;
        self.departed.retain(|_, departed| now.saturating_sub(departed.at) <= retention);
    }

    fn mark_down(&mut self, now: Duration, node: &NodeName) {
        let Some(peer) = self.peers.get_mut(node).filter(|peer| peer.up) else { return };
        tracing::info!(%node, "presence: node down");
        telemetry::node_down();
        peer.up = false;
        let left = self.state.down(&peer.replica);
        self.apply(now, Vec::new(), left);
    }

    fn remove_peer(&mut self, now: Duration, node: &NodeName, why: &'static str) {
        let Some(peer) = self.peers.remove(node) else { return };
        tracing::info!(%node, incarnation = peer.replica.incarnation(), why, "presence: node gone");
        let left = self.state.remove(&peer.replica);
        self.apply(now, Vec::new(), left);
    }
}
