//! The outbox: the messages of all channels that the transport has not fetched yet.
//!
//! Messages are encoded when they leave the outbox. A push whose channel is interrupted returns to the channel's state
//! and leaves with the join ref of the next join. The outbox counts all pushes that wait, here and in the channels, and
//! holds them to the user's limit. The protocol's own messages (joins, leaves, heartbeats) are not counted: there are
//! at most a few for each channel.

use super::ChannelId;
use crate::{Payload, QueueLimit, SendError};
use std::collections::VecDeque;
use std::sync::Arc;

/// The size of a push beside its event and payload, in bytes.
const PUSH_BYTES: usize = 128;

/// A push that waits to be sent.
#[derive(Debug)]
pub(crate) struct QueuedPush {
    pub(crate) reference: u64,
    /// The push is a request. If the request is gone before the push is sent, the push is void.
    pub(crate) expects_reply: bool,
    pub(crate) event: Box<str>,
    pub(crate) payload: Payload,
}

#[derive(Debug)]
pub(crate) enum Outgoing {
    Push { channel: ChannelId, topic: Arc<str>, join_ref: u64, push: QueuedPush },
    Join(ChannelId, u64),
    Leave { topic: Arc<str>, join_ref: u64, reference: u64 },
    Heartbeat(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Outgoing>,
    /// Pushes that wait, here and in the channels.
    pushes: usize,
    /// Their size.
    bytes: usize,
}

impl Outbox {
    /// Checks whether one more push is within the limit. The first push is accepted at any size.
    pub(crate) fn check_limit(&self, push: &QueuedPush, limit: QueueLimit) -> Result<(), SendError> {
        let (messages, bytes) = (self.pushes + 1, self.bytes + size(push));
        if self.pushes > 0 && (messages > limit.messages || bytes > limit.bytes) {
            return Err(SendError::BufferFull {
                messages: self.pushes,
                bytes: self.bytes,
                max_messages: limit.messages,
                max_bytes: limit.bytes,
            });
        }
        Ok(())
    }

    /// Counts a push that starts to wait, here or in its channel.
    pub(crate) fn count(&mut self, push: &QueuedPush) {
        self.pushes += 1;
        self.bytes += size(push);
    }

    /// Stops counting a push.
    pub(crate) fn discount(&mut self, push: &QueuedPush) {
        self.pushes -= 1;
        self.bytes -= size(push);
    }

    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.queue.push_back(outgoing);
    }

    /// Takes the next message; a push is no longer counted.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        if let Outgoing::Push { push, .. } = &outgoing {
            self.discount(push);
        }
        if self.queue.is_empty() && self.queue.capacity() > 16 {
            self.queue = VecDeque::new();
        }
        Some(outgoing)
    }

    /// Takes the pushes of a channel out of the queue, in their order. They are still counted.
    pub(crate) fn take_pushes(&mut self, id: ChannelId) -> Vec<QueuedPush> {
        let concerns = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Push { channel, .. } if *channel == id);
        if !self.queue.iter().any(concerns) {
            return Vec::new();
        }
        let (of_channel, others) = std::mem::take(&mut self.queue).into_iter().partition(concerns);
        self.queue = others;
        let of_channel: VecDeque<Outgoing> = of_channel;
        let pushes = of_channel.into_iter().filter_map(|outgoing| match outgoing {
            Outgoing::Push { push, .. } => Some(push),
            Outgoing::Join(..) | Outgoing::Leave { .. } | Outgoing::Heartbeat(_) => None,
        });
        pushes.collect()
    }

    /// Drops all queued messages, after their connection was lost.
    pub(crate) fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// Removes one push, if it is queued here.
    pub(crate) fn remove(&mut self, reference: u64) {
        let found = self
            .queue
            .iter()
            .position(|outgoing| matches!(outgoing, Outgoing::Push { push, .. } if push.reference == reference));
        if let Some(Outgoing::Push { push, .. }) = found.and_then(|at| self.queue.remove(at)) {
            self.discount(&push);
        }
    }

    /// Returns the counted pushes and their size in bytes.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.pushes, self.bytes)
    }
}

fn size(push: &QueuedPush) -> usize {
    PUSH_BYTES + push.event.len() + push.payload.len()
}
