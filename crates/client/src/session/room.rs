//! A room: a channel as the session sees it, and the steps from one stage to the next.
//!
//! The user's handles ([`channel`](super::channel)) and the connection ([`heard`](super::heard)) take them. A room lives until
//! its handle is gone and it has ended.

use super::inbox::Inbox;
use super::outbox::{Outgoing, Push};
use super::schedule::bounded;
use super::{Due, Session};
use crate::{End, Event, Interruption, Payload, PushError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A channel of a session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Room {
    pub(super) topic: Arc<str>,
    pub(super) params: Payload,
    pub(super) stage: Stage,
    /// The ref of the latest join; 0 before the first.
    pub(super) join_ref: u64,
    /// How often it was joined.
    pub(super) joins: u32,
    /// Joins that failed in a row.
    pub(super) tries: u32,
    /// Depends on the stage: when the join is too late, or when to join again.
    pub(super) deadline: Option<Instant>,
    /// Pushes that wait for the join.
    pub(super) waiting: VecDeque<Push>,
    pub(super) inbox: Inbox,
    /// The leave that is under way.
    pub(super) leave_ref: Option<u64>,
    /// The user still has the handle.
    pub(super) held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not joined; will be at the deadline, or when there is a connection.
    Unjoined,
    /// Asked, not answered.
    Joining,
    Joined,
    /// The leave is sent, not answered.
    Leaving,
    Closed,
}

impl Session {
    pub(super) fn join(&mut self, now: Instant, id: ChannelId) {
        let join_ref = self.next_ref();
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.stage = Stage::Joining;
        room.join_ref = join_ref;
        self.outbox.push(Outgoing::Join(id, join_ref));
        self.set_deadline(id, Some(now + bounded(self.settings.join_timeout)));
    }

    pub(super) fn joined(&mut self, id: ChannelId, response: Payload) {
        self.set_deadline(id, None);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.stage = Stage::Joined;
        room.tries = 0;
        room.joins = room.joins.saturating_add(1);
        let (topic, join_ref, waiting) = (Arc::clone(&room.topic), room.join_ref, std::mem::take(&mut room.waiting));
        for push in waiting {
            self.outbox.push(Outgoing::Push { channel: id, topic: Arc::clone(&topic), join_ref, push });
        }
        self.emit(id, Event::Joined(response));
    }

    pub(super) fn interrupt(&mut self, id: ChannelId, interruption: Interruption) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.stage = Stage::Unjoined;
            // What was not sent yet waits for the next join, in front of what comes after it.
            for push in self.outbox.recall(id).into_iter().rev() {
                room.waiting.push_front(push);
            }
            self.emit(id, Event::Interrupted(interruption));
        }
    }

    pub(super) fn rejoin_later(&mut self, now: Instant, id: ChannelId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.stage = Stage::Unjoined;
        let delay = self.jitter.around(self.settings.rejoin.delay(room.tries));
        room.tries = room.tries.saturating_add(1);
        self.set_deadline(id, Some(now + delay));
    }

    /// Queues a leave, if the server may know the channel.
    pub(super) fn say_leave(&mut self, id: ChannelId) -> Option<u64> {
        let room = self.rooms.get(&id)?;
        if !self.is_open() || !matches!(room.stage, Stage::Joined | Stage::Joining) {
            return None;
        }
        let (topic, join_ref) = (Arc::clone(&room.topic), room.join_ref);
        let reference = self.next_ref();
        self.outbox.push(Outgoing::Leave { topic, join_ref, reference });
        Some(reference)
    }

    /// The channel is over; what it received can still be read.
    pub(super) fn end(&mut self, id: ChannelId, end: End) {
        self.set_deadline(id, None);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if room.stage == Stage::Closed {
            return;
        }
        room.stage = Stage::Closed;
        if self.topics.get(&room.topic) == Some(&id) {
            self.topics.remove(&room.topic);
        }
        self.emit(id, Event::Closed(end));
        self.give_up_pushes(id);
        if let Some(room) = self.rooms.get_mut(&id) {
            self.wakes.extend(room.inbox.end());
        }
        self.fail_all(id, &self.closed_error(id));
        self.sweep(id);
    }

    /// Drops the pushes that wait for a join that will not be.
    pub(super) fn give_up_pushes(&mut self, id: ChannelId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        for push in std::mem::take(&mut room.waiting) {
            self.outbox.discount(&push);
            let error = self.closed_error(id);
            self.answer(push.reference, |_| Err(error));
        }
    }

    pub(super) fn emit(&mut self, id: ChannelId, event: Event) {
        let limit = self.settings.event_queue;
        if let Some(room) = self.rooms.get_mut(&id)
            && room.held
        {
            self.wakes.extend(room.inbox.push(event, limit));
        }
    }

    /// Forgets a room that is over and that nobody holds.
    pub(super) fn sweep(&mut self, id: ChannelId) {
        if self.rooms.get(&id).is_some_and(|room| !room.held && room.stage == Stage::Closed) {
            self.rooms.remove(&id);
        }
    }

    pub(super) fn set_deadline(&mut self, id: ChannelId, deadline: Option<Instant>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut room.deadline, deadline) {
            self.deadlines.remove(&(before, Due::Room(id)));
        }
        self.deadlines.extend(deadline.map(|at| (at, Due::Room(id))));
    }

    pub(super) fn closed_error(&self, id: ChannelId) -> PushError {
        let topic = self.rooms.get(&id).map_or_else(String::new, |room| room.topic.to_string());
        PushError::Closed { topic }
    }
}
