//! A peer: another node, with its liveness and the transfer of its changes to this node.
//!
//! The [`Shard`](super::Shard) owns the peers and sends the requests that they return. A peer is pure. All times are
//! monotonic and relative to the tracker's start; the other node's clocks are not used for time.

use crate::crdt::Replica;
use crate::message::DeltaRequest;
use crate::options::Options;
use std::time::Duration;

pub(super) struct Peer {
    pub(super) replica: Replica,
    pub(super) up: bool,
    /// The arrival of its last message.
    last_message: Duration,
    /// The greatest clock in its messages.
    clock: u64,
    transfer: Option<Transfer>,
}

/// The request in flight. A peer has at most one.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    nonce: u64,
    from: u64,
    since: u64,
    attempts: u32,
    /// The time at which the request is repeated, unless its response arrives before.
    retry_at: Duration,
}

/// The liveness of a node, by the time since its last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    Up,
    Down,
    Permdown,
}

/// A request is repeated after one period, then two, then every four.
const MAX_BACKOFF: u32 = 2;

impl Peer {
    pub(super) fn new(replica: Replica, now: Duration) -> Self {
        Peer { replica, up: true, last_message: now, clock: 0, transfer: None }
    }

    /// Records the arrival of a message with this clock.
    pub(super) fn record_message(&mut self, now: Duration, clock: u64) {
        self.last_message = self.last_message.max(now);
        self.clock = self.clock.max(clock);
    }

    /// Discounts a time in which this node itself did not run: the peer was not silent then.
    pub(super) fn discount(&mut self, pause: Duration, now: Duration) {
        self.last_message = (self.last_message + pause).min(now);
    }

    pub(super) fn liveness(&self, now: Duration, options: &Options) -> Liveness {
        match now.saturating_sub(self.last_message) {
            silence if silence > options.permdown_period => Liveness::Permdown,
            silence if silence > options.down_period => Liveness::Down,
            _ => Liveness::Up,
        }
    }

    /// Returns whether a request is in flight.
    pub(super) fn has_transfer(&self) -> bool {
        self.transfer.is_some()
    }

    /// Returns the request that is due, given that the copy of the peer is complete up to the dot `complete`.
    pub(super) fn due_request(
        &mut self,
        now: Duration,
        complete: u64,
        nonce: u64,
        period: Duration,
    ) -> Option<DeltaRequest> {
        if complete >= self.clock {
            self.transfer = None;
            return None;
        }
        let transfer = match self.transfer {
            Some(transfer) if now < transfer.retry_at => return None,
            Some(transfer) => Transfer { attempts: transfer.attempts + 1, ..transfer },
            None => Transfer { nonce, from: complete, since: complete, attempts: 0, retry_at: now },
        };
        Some(self.begin(now, transfer, period))
    }

    fn begin(&mut self, now: Duration, mut transfer: Transfer, period: Duration) -> DeltaRequest {
        transfer.retry_at = now + period * (1 << transfer.attempts.min(MAX_BACKOFF));
        self.transfer = Some(transfer);
        let Transfer { nonce, from, since, .. } = transfer;
        DeltaRequest { incarnation: self.replica.incarnation(), nonce, from, since }
    }

    /// Returns whether a response with this nonce belongs to the request in flight.
    pub(super) fn expects(&self, nonce: u64) -> bool {
        self.transfer.is_some_and(|transfer| transfer.nonce == nonce)
    }

    /// Ends the request in flight, whose response with this `until` and `since` was merged. Returns the next request of
    /// the transfer; `None` when the transfer is complete.
    pub(super) fn response_merged(
        &mut self,
        now: Duration,
        (until, since): (u64, u64),
        complete: u64,
        nonce: u64,
        period: Duration,
    ) -> Option<DeltaRequest> {
        self.transfer = None;
        if complete >= self.clock || until >= self.clock {
            return None;
        }
        // Continues at the end of the response, not at `complete`: deltas that arrived meanwhile may have completed the
        // copy beyond `until`, and still be older than the state from which the response was computed.
        Some(self.begin(now, Transfer { nonce, from: until, since, attempts: 0, retry_at: now }, period))
    }
}
