//! What the connection tells the rooms: that it is there, that it is gone, what the server says; and what it carries for
//! them.

use super::Session;
use super::outbox::Outgoing;
use super::room::{ChannelId, Stage};
use crate::{End, Event, Interruption, Message, Payload, PushError, Status};
use bennu_protocol::{FrameKind, Inbound, Name, Ref, client, event};
use std::sync::Arc;
use std::time::Instant;

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
