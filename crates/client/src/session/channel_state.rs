//! A channel's state in the session, and its transitions from one stage to the next.
//!
//! The user's handles ([`command`](super::command)), the connection ([`connection`](super::connection)) and the
//! server's messages ([`incoming`](super::incoming)) cause the transitions. A channel's state is removed when the
//! channel has ended and its handle is dropped.

use super::inbox::Inbox;
use super::outbox::{Outgoing, QueuedPush};
use super::{Session, Timer};
use crate::schedule::bounded;
use crate::{ChannelEvent, CloseReason, Interruption, Payload, SendError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Identifies a channel of a session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelId(pub(super) u64);

#[derive(Debug)]
pub(super) struct ChannelState {
    pub(super) topic: Arc<str>,
    pub(super) params: Payload,
    pub(super) stage: Stage,
    /// The ref of the latest join; 0 before the first.
    pub(super) join_ref: u64,
    /// Successful joins so far.
    pub(super) joins: u32,
    /// Failed joins since the latest successful one.
    pub(super) failed_joins: u32,
    /// In [`Stage::Joining`] the join's timeout, in [`Stage::Unjoined`] the time of the next join.
    pub(super) deadline: Option<Instant>,
    /// Pushes that wait for the join.
    pub(super) pending_pushes: VecDeque<QueuedPush>,
    pub(super) inbox: Inbox,
    /// The ref of the leave without a reply.
    pub(super) leave_ref: Option<u64>,
    /// The user has not dropped the channel's handle.
    pub(super) has_handle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not joined. The channel joins at its deadline, or with the next connection.
    Unjoined,
    /// The join has no reply yet.
    Joining,
    Joined,
    /// The leave has no reply yet.
    Leaving,
    Closed,
}

impl Session {
    /// Joins every channel that is not joined, in the order in which the channels were opened.
    pub(super) fn join_all(&mut self, now: Instant) {
        let mut unjoined: Vec<ChannelId> = self.topics.values().copied().collect();
        unjoined.sort_unstable();
        for id in unjoined {
            if let Some(channel) = self.channels.get_mut(&id)
                && channel.stage == Stage::Unjoined
            {
                channel.failed_joins = 0;
                self.join(now, id);
            }
        }
    }

    /// Interrupts every channel after the connection was lost. Requests that were sent fail.
    pub(super) fn interrupt_all(&mut self) {
        self.fail_sent(None, |event| SendError::ConnectionLost { event });
        let ids: Vec<ChannelId> = self.topics.values().copied().collect();
        for id in ids {
            match self.channels.get(&id).map(|channel| channel.stage) {
                Some(Stage::Leaving) => self.end(id, CloseReason::Left),
                Some(Stage::Joined | Stage::Joining) => {
                    self.interrupt(id, Interruption::ConnectionLost);
                    self.set_deadline(id, None);
                }
                // The next connection joins the channel.
                Some(Stage::Unjoined) => self.set_deadline(id, None),
                Some(Stage::Closed) | None => {}
            }
        }
        self.outbox.clear();
    }

    /// Ends every channel after the client was disconnected.
    pub(super) fn end_all(&mut self) {
        let ids: Vec<ChannelId> = self.topics.values().copied().collect();
        ids.into_iter().for_each(|id| self.end(id, CloseReason::Disconnected));
    }

    pub(super) fn join(&mut self, now: Instant, id: ChannelId) {
        let join_ref = self.next_ref();
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.stage = Stage::Joining;
        channel.join_ref = join_ref;
        self.outbox.push(Outgoing::Join(id, join_ref));
        self.set_deadline(id, Some(now + bounded(self.settings.join_timeout)));
    }

    pub(super) fn joined(&mut self, id: ChannelId, response: Payload) {
        self.set_deadline(id, None);
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.stage = Stage::Joined;
        channel.failed_joins = 0;
        channel.joins = channel.joins.saturating_add(1);
        let (topic, join_ref) = (Arc::clone(&channel.topic), channel.join_ref);
        for push in std::mem::take(&mut channel.pending_pushes) {
            self.outbox.push(Outgoing::Push { channel: id, topic: Arc::clone(&topic), join_ref, push });
        }
        self.queue_event(id, ChannelEvent::Joined(response));
    }

    /// Makes a channel unjoined. Its unsent pushes wait for the next join, in front of later ones.
    pub(super) fn interrupt(&mut self, id: ChannelId, interruption: Interruption) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.stage = Stage::Unjoined;
            for push in self.outbox.take_pushes(id).into_iter().rev() {
                channel.pending_pushes.push_front(push);
            }
            self.queue_event(id, ChannelEvent::Interrupted(interruption));
        }
    }

    pub(super) fn schedule_rejoin(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.stage = Stage::Unjoined;
        let delay = self.jitter.vary(self.settings.rejoin.delay(channel.failed_joins));
        channel.failed_joins = channel.failed_joins.saturating_add(1);
        self.set_deadline(id, Some(now + delay));
    }

    /// Handles a channel's deadline: the join times out, or the next join is due.
    pub(super) fn channel_elapsed(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.deadline = None;
        let stage = channel.stage;
        match stage {
            Stage::Unjoined if self.is_open() => self.join(now, id),
            Stage::Unjoined => self.queue_event(id, ChannelEvent::Interrupted(Interruption::JoinTimedOut)),
            Stage::Joining => {
                // The server may still accept the join; the leave takes it back.
                self.queue_leave(id);
                self.interrupt(id, Interruption::JoinTimedOut);
                self.schedule_rejoin(now, id);
            }
            Stage::Joined | Stage::Leaving | Stage::Closed => {}
        }
    }

    /// Queues a leave and returns its ref; `None` when the server has no join of the channel.
    pub(super) fn queue_leave(&mut self, id: ChannelId) -> Option<u64> {
        let channel = self.channels.get(&id)?;
        if !self.is_open() || !matches!(channel.stage, Stage::Joined | Stage::Joining) {
            return None;
        }
        let (topic, join_ref) = (Arc::clone(&channel.topic), channel.join_ref);
        let reference = self.next_ref();
        self.outbox.push(Outgoing::Leave { topic, join_ref, reference });
        Some(reference)
    }

    /// Ends a channel after its leave timed out.
    pub(super) fn leave_timed_out(&mut self, id: ChannelId, reference: u64) {
        if self.channels.get(&id).is_some_and(|channel| channel.leave_ref == Some(reference)) {
            self.end(id, CloseReason::Left);
        }
    }

    /// Ends a channel. Its queued events can still be read; its requests fail.
    pub(super) fn end(&mut self, id: ChannelId, reason: CloseReason) {
        self.set_deadline(id, None);
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.stage == Stage::Closed {
            return;
        }
        channel.stage = Stage::Closed;
        if self.topics.get(&channel.topic) == Some(&id) {
            self.topics.remove(&channel.topic);
        }
        self.queue_event(id, ChannelEvent::Closed(reason));
        self.fail_pending_pushes(id);
        if let Some(channel) = self.channels.get_mut(&id) {
            self.wakes.extend(channel.inbox.end());
        }
        self.fail_all(id, &self.closed_error(id));
        self.remove_if_released(id);
    }

    /// Fails the pushes that wait for a join.
    pub(super) fn fail_pending_pushes(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        for push in std::mem::take(&mut channel.pending_pushes) {
            self.outbox.discount(&push);
            let error = self.closed_error(id);
            self.resolve(push.reference, |_| Err(error));
        }
    }

    pub(super) fn queue_event(&mut self, id: ChannelId, event: ChannelEvent) {
        let limit = self.settings.event_queue;
        if let Some(channel) = self.channels.get_mut(&id)
            && channel.has_handle
        {
            self.wakes.extend(channel.inbox.push(event, limit));
        }
    }

    /// Removes a channel that has ended and whose handle is dropped.
    pub(super) fn remove_if_released(&mut self, id: ChannelId) {
        if self.channels.get(&id).is_some_and(|channel| !channel.has_handle && channel.stage == Stage::Closed) {
            self.channels.remove(&id);
        }
    }

    pub(super) fn set_deadline(&mut self, id: ChannelId, deadline: Option<Instant>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Some(previous) = std::mem::replace(&mut channel.deadline, deadline) {
            self.timers.remove(&(previous, Timer::Channel(id)));
        }
        self.timers.extend(deadline.map(|at| (at, Timer::Channel(id))));
    }

    pub(super) fn closed_error(&self, id: ChannelId) -> SendError {
        let topic = self.channels.get(&id).map_or_else(String::new, |channel| channel.topic.to_string());
        SendError::Closed { topic }
    }
}
