//! Replication: the deltas, requests and responses of the anti-entropy protocol.
//!
//! The shard calls this module with each message of a current incarnation, and at the end of each period. Deltas are
//! idempotent, so a repeated one changes nothing. A response is merged only if it carries the nonce of the request in
//! flight.

use super::Shard;
use crate::crdt::Replica;
use crate::message::{DeltaRequest, Message, MessageKind, WireDelta};
use bennu_pubsub::NodeName;
use std::time::Duration;

impl Shard {
    /// Processes a message of a node's current incarnation.
    pub(super) fn receive_current(&mut self, now: Duration, node: &NodeName, message: &Message) {
        let (replica, is_new) = self.record_sender(now, node, message);
        if message.kind == MessageKind::Hello || (is_new && message.kind != MessageKind::Greeting) {
            self.send(node, Message::new(&self.replica, MessageKind::Greeting, self.published));
        }
        if let Some(request) = message.request.filter(|request| request.incarnation == self.replica.incarnation()) {
            self.respond(node, request);
        }
        match (message.kind, &message.delta) {
            (MessageKind::Delta, Some(delta)) => drop(self.merge(now, &replica, delta)),
            (MessageKind::Response, Some(delta)) => self.receive_response(now, node, &replica, delta),
            _ => {}
        }
        let has_copy = self.state.complete_until(&replica) > 0;
        if !has_copy && self.peers.get(node).is_some_and(|peer| !peer.has_transfer()) {
            // Of a node with a copy here, the missing changes may be under way: the request waits for the tick.
            self.request_missing(now, node);
        }
    }

    /// Merges a delta. Returns its `until` and `since`.
    fn merge(&mut self, now: Duration, replica: &Replica, delta: &WireDelta) -> (u64, u64) {
        let delta = delta.to_delta(replica, |topic| self.view.topic_name(topic));
        let changes = self.state.merge(replica, delta.store);
        self.apply(now, changes.joined, changes.left);
        (delta.until, delta.since)
    }

    /// Merges the response to the request in flight, and sends the next request of the transfer.
    fn receive_response(&mut self, now: Duration, node: &NodeName, replica: &Replica, delta: &WireDelta) {
        // Another delta than the next one may contain the dot of a removal and not the dot of the removed presence.
        if !self.peers.get(node).is_some_and(|peer| peer.expects(delta.nonce)) {
            return;
        }
        let reached = self.merge(now, replica, delta);
        let complete = self.state.complete_until(replica);
        let nonce = self.next_nonce();
        let period = self.options.broadcast_period;
        if let Some(peer) = self.peers.get_mut(node) {
            let request = peer.response_merged(now, reached, complete, nonce, period);
            self.send_request(node, request);
        }
    }

    /// Requests the missing changes of a node, unless none are missing or a request is in flight.
    pub(super) fn request_missing(&mut self, now: Duration, node: &NodeName) {
        let nonce = self.next_nonce();
        let period = self.options.broadcast_period;
        if let Some(peer) = self.peers.get_mut(node).filter(|peer| peer.up) {
            let complete = self.state.complete_until(&peer.replica);
            let request = peer.due_request(now, complete, nonce, period);
            self.send_request(node, request);
        }
    }

    fn send_request(&mut self, node: &NodeName, request: Option<DeltaRequest>) {
        let Some(request) = request else { return };
        self.send(node, Message::new(&self.replica, MessageKind::Request, self.published).request(request));
    }

    fn respond(&mut self, node: &NodeName, request: DeltaRequest) {
        let delta = self.state.delta(request.from, request.since, self.delta_limit);
        // The delta may contain changes that are not published yet. The next broadcast repeats them, which is
        // idempotent.
        let response = Message::new(&self.replica, MessageKind::Response, self.published);
        self.send(node, response.delta(request.nonce, delta));
    }

    fn next_nonce(&mut self) -> u64 {
        self.last_nonce += 1;
        self.last_nonce
    }

    /// Broadcasts the changes of a period, or a heartbeat when one is due.
    pub(super) fn publish(&mut self) {
        self.silent_periods += 1;
        while self.published < self.state.clock() {
            self.silent_periods = 0;
            let delta = self.state.delta(self.published, self.published, self.delta_limit);
            if delta.from != self.published {
                // The tombstone log is shorter than the period's removals. Other nodes cannot receive these by a delta;
                // the clock makes them request the full state.
                self.published = self.state.clock();
                self.broadcast(Message::new(&self.replica, MessageKind::Heartbeat, self.published));
                break;
            }
            self.published = delta.until;
            self.broadcast(Message::new(&self.replica, MessageKind::Delta, self.published).delta(0, delta));
        }
        if self.hellos_left > 0 {
            self.hello();
        } else if self.silent_periods >= self.options.max_silent_periods {
            self.silent_periods = 0;
            self.broadcast(Message::new(&self.replica, MessageKind::Heartbeat, self.published));
        }
    }

    pub(super) fn hello(&mut self) {
        self.hellos_left -= 1;
        self.silent_periods = 0;
        self.broadcast(Message::new(&self.replica, MessageKind::Hello, self.published));
    }
}
