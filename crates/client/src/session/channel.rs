//! The channels of a session: joining, rejoining, pushing, leaving, and what the server says to them.
//!
//! A room is a channel as the session sees it. It lives until its handle is gone and it has ended.

use super::inbox::Inbox;
use super::outbox::{Outgoing, Push};
use super::schedule::bounded;
use super::{Due, Session};
use crate::{End, Event, Interruption, JoinError, Message, Payload, PushError, Status};
use bennu_protocol::{FrameKind, Inbound, Name, Ref, client, event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A channel of a session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelId(u64);

#[derive(Debug)]
pub(super) struct Room {
    topic: Arc<str>,
    params: Payload,
    stage: Stage,
    /// The ref of the latest join; 0 before the first.
    join_ref: u64,
    /// How often it was joined.
    joins: u32,
    /// Joins that failed in a row.
    tries: u32,
    /// Depends on the stage: when the join is too late, or when to join again.
    deadline: Option<Instant>,
    /// Pushes that wait for the join.
    pub(super) waiting: VecDeque<Push>,
    inbox: Inbox,
    /// The leave that is under way.
    leave_ref: Option<u64>,
    /// The user still has the handle.
    held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not joined; will be at the deadline, or when there is a connection.
    Unjoined,
    /// Asked, not answered.
    Joining,
    Joined,
    /// The leave is sent, not answered.
    Leaving,
    Closed,
}

/// For the user's handles.
impl Session {
    /// Begins to join a topic. Whoever had joined it before is replaced.
    ///
    /// # Errors
    /// Only for params that cannot be written.
    pub(crate) fn open(&mut self, now: Instant, topic: &str, params: Payload) -> Result<ChannelId, JoinError> {
        check(topic, event::JOIN, &params)
            .map_err(|source| JoinError::Unsendable { topic: topic.to_owned(), source })?;
        let topic: Arc<str> = topic.into();
        if let Some(before) = self.topics.get(&topic).copied() {
            self.say_leave(before);
            self.end(before, End::Replaced);
        }
        self.last_channel += 1;
        let id = ChannelId(self.last_channel);
        let room = Room {
            topic: Arc::clone(&topic),
            params,
            stage: Stage::Unjoined,
            join_ref: 0,
            joins: 0,
            tries: 0,
            deadline: None,
            waiting: VecDeque::new(),
            inbox: Inbox::default(),
            leave_ref: None,
            held: true,
        };
        self.rooms.insert(id, Box::new(room));
        if matches!(self.intent(), super::Intent::Close | super::Intent::Finish) {
            self.end(id, End::Disconnected);
            return Ok(id);
        }
        self.topics.insert(topic, id);
        if self.is_open() {
            self.join(now, id);
        } else {
            // Who waits for the join is told when it takes too long, connected or not.
            self.set_deadline(id, Some(now + bounded(self.settings.join_timeout)));
        }
        Ok(id)
    }

    /// The params of the next joins.
    pub(crate) fn set_params(&mut self, id: ChannelId, params: Payload) -> Result<(), JoinError> {
        let Some(room) = self.rooms.get_mut(&id) else { return Ok(()) };
        check(&room.topic, event::JOIN, &params)
            .map_err(|source| JoinError::Unsendable { topic: room.topic.to_string(), source })?;
        room.params = params;
        Ok(())
    }

    /// Sends a message, now or when the channel is joined. With a timeout, a reply is waited for, by the ref that is
    /// returned.
    ///
    /// # Errors
    /// The channel has ended, the buffer is full, or the message cannot be written.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        id: ChannelId,
        event: &str,
        payload: Payload,
        timeout: Option<Duration>,
    ) -> Result<u64, PushError> {
        let room = self.rooms.get_mut(&id).filter(|room| !matches!(room.stage, Stage::Leaving | Stage::Closed));
        let Some(room) = room else { return Err(self.closed_error(id)) };
        check(&room.topic, event, &payload)?;
        let reference = self.last_ref + 1;
        let push = Push { reference, awaited: timeout.is_some(), event: event.into(), payload };
        self.outbox.admit(&push, self.settings.push_buffer)?;
        self.outbox.count(&push);
        self.last_ref = reference;
        match room.stage {
            Stage::Joined => {
                let (topic, join_ref) = (Arc::clone(&room.topic), room.join_ref);
                self.outbox.push(Outgoing::Push { channel: id, topic, join_ref, push });
            }
            _ => room.waiting.push_back(push),
        }
        if let Some(timeout) = timeout {
            self.await_reply(now, id, reference, event, timeout);
        }
        Ok(reference)
    }

    /// Leaves; the ref is of the leave that is to be waited for, if there is one.
    pub(crate) fn leave(&mut self, now: Instant, id: ChannelId) -> Option<u64> {
        let stage = self.rooms.get(&id)?.stage;
        if stage == Stage::Leaving {
            return None;
        }
        let leave_ref = self.say_leave(id);
        match leave_ref {
            Some(reference) if stage == Stage::Joined => {
                self.give_up_pushes(id);
                let timeout = self.settings.push_timeout;
                self.await_reply(now, id, reference, event::LEAVE, timeout);
                let room = self.rooms.get_mut(&id)?;
                room.stage = Stage::Leaving;
                room.leave_ref = leave_ref;
                self.set_deadline(id, None);
                leave_ref
            }
            // As in phoenix.js, a channel that is not joined yet has ended as soon as it is left.
            _ => {
                self.end(id, End::Left);
                None
            }
        }
    }

    /// The handle is gone: leaves, and forgets what nobody will read.
    pub(crate) fn release(&mut self, now: Instant, id: ChannelId) {
        if let Some(reference) = self.leave(now, id) {
            self.cancel(reference);
        }
        if let Some(room) = self.rooms.get_mut(&id) {
            room.held = false;
            room.inbox = Inbox::default();
        }
        self.sweep(id);
    }

    pub(crate) fn poll_event(&mut self, id: ChannelId, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.rooms.get_mut(&id).map_or(Poll::Ready(None), |room| room.inbox.poll(cx))
    }

    pub(crate) fn poll_outcome(&mut self, id: ChannelId, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.rooms.get_mut(&id).map_or(Poll::Ready(None), |room| room.inbox.poll_outcome(cx))
    }

    pub(crate) fn is_joined(&self, id: ChannelId) -> bool {
        self.rooms.get(&id).is_some_and(|room| room.stage == Stage::Joined)
    }
}

/// For the connection.
impl Session {
    /// Asks for every channel that should be joined.
    pub(super) fn join_all(&mut self, now: Instant) {
        let mut unjoined: Vec<ChannelId> = self.topics.values().copied().collect();
        unjoined.sort_unstable();
        for id in unjoined {
            if let Some(room) = self.rooms.get_mut(&id)
                && room.stage == Stage::Unjoined
            {
                room.tries = 0;
                self.join(now, id);
            }
        }
    }

    /// The connection is gone: what is joined will be again, what was sent is not answered any more.
    pub(super) fn interrupt_all(&mut self) {
        self.fail_sent(None, |event| PushError::ConnectionLost { event });
        let ids: Vec<ChannelId> = self.topics.values().copied().collect();
        for id in ids {
            match self.rooms.get(&id).map(|room| room.stage) {
                Some(Stage::Leaving) => self.end(id, End::Left),
                Some(Stage::Joined | Stage::Joining) => {
                    self.interrupt(id, Interruption::ConnectionLost);
                    self.set_deadline(id, None);
                }
                // There is nothing to join before there is a connection.
                Some(Stage::Unjoined) => self.set_deadline(id, None),
                Some(Stage::Closed) | None => {}
            }
        }
        self.outbox.clear();
    }

    /// Nothing is joined any more, and nothing will be.
    pub(super) fn end_all(&mut self) {
        let ids: Vec<ChannelId> = self.topics.values().copied().collect();
        ids.into_iter().for_each(|id| self.end(id, End::Disconnected));
    }

    /// A reply that is none to a heartbeat.
    pub(super) fn answered(&mut self, now: Instant, reference: u64, topic: &str, status: Status, payload: Payload) {
        let channel = self.requests.get(&reference).map(|request| request.channel);
        if let Some(id) = channel {
            let left = self.rooms.get(&id).is_some_and(|room| room.leave_ref == Some(reference));
            self.reply(reference, status, payload);
            if left {
                self.end(id, End::Left);
            }
            return;
        }
        let Some(id) = self.topics.get(topic).copied() else { return };
        if !self.rooms.get(&id).is_some_and(|room| room.stage == Stage::Joining && room.join_ref == reference) {
            return;
        }
        match status {
            Status::Ok => self.joined(id, payload),
            _ => {
                self.emit(id, Event::Refused(payload));
                self.rejoin_later(now, id);
            }
        }
    }

    /// A push, a broadcast, or the end of a channel.
    pub(super) fn heard(&mut self, now: Instant, join_ref: &Ref, topic: &str, event: String, payload: Payload) {
        let Some(id) = self.topics.get(topic).copied() else { return };
        let Some(room) = self.rooms.get(&id) else { return };
        // Of an earlier join of the same topic.
        if !join_ref.is_null() && join_ref.as_str().and_then(|text| text.parse().ok()) != Some(room.join_ref) {
            return;
        }
        match event.as_str() {
            // It answers the leave of a join that was not waited for any longer, and will be tried again.
            event::CLOSE if room.stage == Stage::Unjoined => {}
            event::CLOSE => {
                let end = if room.stage == Stage::Leaving { End::Left } else { End::Closed };
                self.end(id, end);
            }
            event::ERROR if room.stage == Stage::Leaving => self.end(id, End::Left),
            event::ERROR => {
                self.fail_sent(Some(id), |event| PushError::Crashed { event });
                self.interrupt(id, Interruption::Crashed(payload));
                self.rejoin_later(now, id);
            }
            _ => {
                // One that overtakes the reply to its join belongs to that join.
                let join = room.joins + u32::from(room.stage == Stage::Joining);
                self.emit(id, Event::Message(Message { event, payload, join }));
            }
        }
    }

    /// A room's deadline has come.
    pub(super) fn room_due(&mut self, now: Instant, id: ChannelId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.deadline = None;
        match room.stage {
            Stage::Unjoined if matches!(self.phase, super::Phase::Open(_)) => self.join(now, id),
            Stage::Unjoined => self.emit(id, Event::Interrupted(Interruption::JoinTimedOut)),
            Stage::Joining => {
                // The server may still be at it: it is told that nobody waits.
                self.say_leave(id);
                self.interrupt(id, Interruption::JoinTimedOut);
                self.rejoin_later(now, id);
            }
            Stage::Joined | Stage::Leaving | Stage::Closed => {}
        }
    }

    /// A leave that is not answered is over all the same.
    pub(super) fn leave_due(&mut self, id: ChannelId, reference: u64) {
        if self.rooms.get(&id).is_some_and(|room| room.leave_ref == Some(reference)) {
            self.end(id, End::Left);
        }
    }

    /// Writes a message; `None` when it has become void while it waited.
    pub(super) fn encode(&mut self, outgoing: Outgoing, output: &mut Vec<u8>) -> Option<FrameKind> {
        let text = |number: u64| Ref::text(number.to_string());
        self.sent(&outgoing);
        let (join_ref, reference, topic, event, payload): (_, _, Arc<str>, Box<str>, _) = match outgoing {
            Outgoing::Heartbeat(reference) => {
                (Ref::NULL, text(reference), event::PHOENIX_TOPIC.into(), event::HEARTBEAT.into(), Payload::empty())
            }
            Outgoing::Join(id, join_ref) => {
                let room = self.rooms.get(&id).filter(|room| room.join_ref == join_ref)?;
                let topic = Arc::clone(&room.topic);
                (text(join_ref), text(join_ref), topic, event::JOIN.into(), room.params.clone())
            }
            Outgoing::Leave { topic, join_ref, reference } => {
                (text(join_ref), text(reference), topic, event::LEAVE.into(), Payload::empty())
            }
            Outgoing::Push { topic, join_ref, push, .. } => {
                // Waited for in vain.
                if push.awaited && !self.requests.contains_key(&push.reference) {
                    return None;
                }
                (text(join_ref), text(push.reference), topic, push.event, push.payload)
            }
        };
        let message = Inbound { join_ref, reference, topic: Name::from(&*topic), event: Name::from(&*event), payload };
        client::encode(&message, output).inspect_err(|error| tracing::warn!(%error, "a message is not sent")).ok()
    }
}

/// What both need.
impl Session {
    fn join(&mut self, now: Instant, id: ChannelId) {
        let join_ref = self.next_ref();
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.stage = Stage::Joining;
        room.join_ref = join_ref;
        self.outbox.push(Outgoing::Join(id, join_ref));
        self.set_deadline(id, Some(now + bounded(self.settings.join_timeout)));
    }

    fn joined(&mut self, id: ChannelId, response: Payload) {
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

    fn interrupt(&mut self, id: ChannelId, interruption: Interruption) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.stage = Stage::Unjoined;
            // What was not sent yet waits for the next join, in front of what comes after it.
            for push in self.outbox.recall(id).into_iter().rev() {
                room.waiting.push_front(push);
            }
            self.emit(id, Event::Interrupted(interruption));
        }
    }

    fn rejoin_later(&mut self, now: Instant, id: ChannelId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.stage = Stage::Unjoined;
        let delay = self.jitter.around(self.settings.rejoin.delay(room.tries));
        room.tries = room.tries.saturating_add(1);
        self.set_deadline(id, Some(now + delay));
    }

    /// Queues a leave, if the server may know the channel.
    fn say_leave(&mut self, id: ChannelId) -> Option<u64> {
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
    fn end(&mut self, id: ChannelId, end: End) {
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
    fn give_up_pushes(&mut self, id: ChannelId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        for push in std::mem::take(&mut room.waiting) {
            self.outbox.discount(&push);
            let error = self.closed_error(id);
            self.answer(push.reference, |_| Err(error));
        }
    }

    fn emit(&mut self, id: ChannelId, event: Event) {
        let limit = self.settings.event_queue;
        if let Some(room) = self.rooms.get_mut(&id)
            && room.held
        {
            self.wakes.extend(room.inbox.push(event, limit));
        }
    }

    /// Forgets a room that is over and that nobody holds.
    fn sweep(&mut self, id: ChannelId) {
        if self.rooms.get(&id).is_some_and(|room| !room.held && room.stage == Stage::Closed) {
            self.rooms.remove(&id);
        }
    }

    fn set_deadline(&mut self, id: ChannelId, deadline: Option<Instant>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut room.deadline, deadline) {
            self.deadlines.remove(&(before, Due::Room(id)));
        }
        self.deadlines.extend(deadline.map(|at| (at, Due::Room(id))));
    }

    fn closed_error(&self, id: ChannelId) -> PushError {
        let topic = self.rooms.get(&id).map_or_else(String::new, |room| room.topic.to_string());
        PushError::Closed { topic }
    }
}

/// Whether the wire can carry a message: the refs of real ones are digits, and short.
fn check(topic: &str, event: &str, payload: &Payload) -> Result<(), bennu_protocol::EncodeError> {
    const LONGEST_IN_BINARY: usize = 255;
    let fine = match payload.as_binary() {
        Some(_) => topic.len().max(event.len()) <= LONGEST_IN_BINARY,
        None => payload.as_json().is_some(),
    };
    if fine {
        return Ok(());
    }
    // The encoder knows what is wrong.
    let message = Inbound {
        join_ref: Ref::NULL,
        reference: Ref::NULL,
        topic: Name::from(topic),
        event: Name::from(event),
        payload: payload.clone(),
    };
    client::encode(&message, &mut Vec::new()).map(drop)
}
