//! Another node as one shard knows it: whether it lives, and what is being asked of it.
//!
//! Time is monotonic, since the tracker's start; the other node's clock plays no part. Pure; the [`crate::shard`]
//! carries out what follows.

use crate::options::Options;
use crate::replica::Replica;
use std::time::Duration;

pub(crate) struct Peer {
    pub(crate) replica: Replica,
    pub(crate) up: bool,
    /// When it last gave a sign of life.
    heard: Duration,
    /// How far it says that its share goes.
    pub(crate) claimed: u64,
    transfer: Option<Transfer>,
}

/// What was asked of it. One ask is under way at a time.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    nonce: u64,
    from: u64,
    since: u64,
    attempts: u32,
    /// When to ask again, should no answer come.
    again: Duration,
}

/// A node's age by its silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Up,
    Down,
    Gone,
}

/// An ask is repeated after one period, then two, then four, and then always after four.
const MAX_BACKOFF: u32 = 2;

impl Peer {
    pub(crate) fn new(replica: Replica, now: Duration) -> Self {
        Peer { replica, up: true, heard: now, claimed: 0, transfer: None }
    }

    pub(crate) fn hear(&mut self, now: Duration, clock: u64) {
        self.heard = self.heard.max(now);
        self.claimed = self.claimed.max(clock);
    }

    /// This node itself stood still for so long: that was no silence of the other.
    pub(crate) fn excuse(&mut self, standstill: Duration, now: Duration) {
        self.heard = (self.heard + standstill).min(now);
    }

    pub(crate) fn liveness(&self, now: Duration, options: &Options) -> Liveness {
        match now.saturating_sub(self.heard) {
            silence if silence > options.permdown_period => Liveness::Gone,
            silence if silence > options.down_period => Liveness::Down,
            _ => Liveness::Up,
        }
    }

    /// Whether an ask is under way.
    pub(crate) fn asked(&self) -> bool {
        self.transfer.is_some()
    }

    /// It says that there is more than is known here: what to ask for now, if anything.
    pub(crate) fn ask(
        &mut self,
        now: Duration,
        complete: u64,
        nonce: u64,
        period: Duration,
    ) -> Option<(u64, u64, u64)> {
        if complete >= self.claimed {
            self.transfer = None;
            return None;
        }
        let transfer = match self.transfer {
            Some(transfer) if now < transfer.again => return None,
            Some(transfer) => Transfer { attempts: transfer.attempts + 1, ..transfer },
            None => Transfer { nonce, from: complete, since: complete, attempts: 0, again: now },
        };
        Some(self.begin(now, transfer, period))
    }

    fn begin(&mut self, now: Duration, mut transfer: Transfer, period: Duration) -> (u64, u64, u64) {
        transfer.again = now + period * (1 << transfer.attempts.min(MAX_BACKOFF));
        self.transfer = Some(transfer);
        (transfer.nonce, transfer.from, transfer.since)
    }

    /// Whether this answer is the one that is waited for.
    pub(crate) fn expects(&self, nonce: u64) -> bool {
        self.transfer.is_some_and(|transfer| transfer.nonce == nonce)
    }

    /// The answer was merged and goes until a dot. What to ask for next, if there is more.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        (until, since): (u64, u64),
        complete: u64,
        nonce: u64,
        period: Duration,
    ) -> Option<(u64, u64, u64)> {
        self.transfer = None;
        if complete >= self.claimed || until >= self.claimed {
            return None;
        }
        // On from where it ended: what came in between may be complete and still older than what the piece was cut
        // from.
        Some(self.begin(now, Transfer { nonce, from: until, since, attempts: 0, again: now }, period))
    }
}
