//! What waits to be sent, all channels of a client together.
//!
//! Messages are kept as they were given and encoded when they leave: a push that has to wait for another join is handed
//! back to its room, and then carries that join's ref. Pushes are counted, here and in the rooms where they wait for a join, and have a limit;
//! what the protocol itself sends (joins, leaves, heartbeats) is at most a few a channel.

use super::ChannelId;
use crate::{Payload, PushError, QueueLimit};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a push counts besides its event and payload, in bytes.
const PUSH_BYTES: usize = 128;

/// A message of the user.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) reference: u64,
    /// Somebody waits for the reply: when that has ended before it was sent, there is nothing to send.
    pub(crate) awaited: bool,
    pub(crate) event: Box<str>,
    pub(crate) payload: Payload,
}

#[derive(Debug)]
pub(crate) enum Outgoing {
    Push { channel: ChannelId, topic: Arc<str>, join_ref: u64, push: Push },
    Join(ChannelId, u64),
    Leave { topic: Arc<str>, join_ref: u64, reference: u64 },
    Heartbeat(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: VecDeque<Outgoing>,
    /// Pushes here and in rooms, and their size.
    pushes: usize,
    bytes: usize,
}

impl Outbox {
    /// Whether one more push may wait. The first may, whatever its size.
    pub(crate) fn admit(&self, push: &Push, limit: QueueLimit) -> Result<(), PushError> {
        let (messages, bytes) = (self.pushes + 1, self.bytes + size(push));
        if self.pushes > 0 && (messages > limit.messages || bytes > limit.bytes) {
            return Err(PushError::BufferFull {
                messages: self.pushes,
                bytes: self.bytes,
                max_messages: limit.messages,
                max_bytes: limit.bytes,
            });
        }
        Ok(())
    }

    /// A push waits from now on, here or in its room.
    pub(crate) fn count(&mut self, push: &Push) {
        self.pushes += 1;
        self.bytes += size(push);
    }

    /// A push does not wait any more.
    pub(crate) fn discount(&mut self, push: &Push) {
        self.pushes -= 1;
        self.bytes -= size(push);
    }

    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.ready.push_back(outgoing);
    }

    /// The next one; a push is discounted.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.ready.pop_front()?;
        if let Outgoing::Push { push, .. } = &outgoing {
            self.discount(push);
        }
        if self.ready.is_empty() && self.ready.capacity() > 16 {
            self.ready = VecDeque::new();
        }
        Some(outgoing)
    }

    /// Hands back the pushes of a channel that were not sent, in their order. They still count.
    pub(crate) fn recall(&mut self, id: ChannelId) -> Vec<Push> {
        let concerns = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Push { channel, .. } if *channel == id);
        if !self.ready.iter().any(concerns) {
            return Vec::new();
        }
        let (of_channel, others) = std::mem::take(&mut self.ready).into_iter().partition(concerns);
        self.ready = others;
        let of_channel: VecDeque<Outgoing> = of_channel;
        let pushes = of_channel.into_iter().filter_map(|outgoing| match outgoing {
            Outgoing::Push { push, .. } => Some(push),
            Outgoing::Join(..) | Outgoing::Leave { .. } | Outgoing::Heartbeat(_) => None,
        });
        pushes.collect()
    }

    /// Drops all that waits for a connection that is gone.
    pub(crate) fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// Takes out one push.
    pub(crate) fn remove(&mut self, reference: u64) {
        let found = self
            .ready
            .iter()
            .position(|outgoing| matches!(outgoing, Outgoing::Push { push, .. } if push.reference == reference));
        if let Some(Outgoing::Push { push, .. }) = found.and_then(|at| self.ready.remove(at)) {
            self.discount(&push);
        }
    }

    #[cfg(test)]
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.pushes, self.bytes)
    }
}

fn size(push: &Push) -> usize {
    PUSH_BYTES + push.event.len() + push.payload.len()
}
