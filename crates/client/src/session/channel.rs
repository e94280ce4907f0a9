//! What the user's handles ask of a session: joining, pushing, leaving, reading.

use super::Session;
use super::inbox::Inbox;
use super::outbox::{Outgoing, Push};
use super::room::{ChannelId, Room, Stage};
use super::schedule::bounded;
use crate::{End, Event, JoinError, Payload, PushError};
use bennu_protocol::{Inbound, Name, Ref, client, event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

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
