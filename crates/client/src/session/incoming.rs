//! Incoming messages: the transports pass each of the server's messages here, and the session finds its channel or
//! request.
//!
//! A reply goes to the request with its ref, or completes a join. An event goes to the topic's live channel; messages
//! of an earlier join of the topic are dropped. A message that is not valid is logged and dropped, and the connection
//! stays.

use super::Session;
use super::channel_state::Stage;
use super::connection::Phase;
use crate::{ChannelEvent, ChannelMessage, CloseReason, Interruption, Payload, SendError, Status};
use bennu_protocol::client::Received;
use bennu_protocol::{Frame, Ref, event};
use std::time::Instant;

impl Session {
    /// Handles a message of the server.
    pub(crate) fn receive(&mut self, now: Instant, frame: Frame<'_>) {
        let Phase::Open(open) = &mut self.phase else { return };
        if !std::mem::replace(&mut open.has_received, true) {
            // The first message resets the schedule, not the handshake. A server that accepts connections and closes
            // them at once would otherwise get an attempt every 10 ms.
            self.failures = 0;
        }
        match bennu_protocol::client::decode(frame) {
            Ok(Received::Reply { join_ref: _, reference, topic, status, payload }) => {
                let Some(reference) = reference.as_str().and_then(|text| text.parse().ok()) else { return };
                if open.unanswered_heartbeat == Some(reference) {
                    open.unanswered_heartbeat = None;
                } else {
                    self.receive_reply(now, reference, &topic, status, payload);
                }
            }
            Ok(Received::Event { join_ref, topic, event, payload }) => {
                self.receive_event(now, &join_ref, &topic, event, payload);
            }
            Err(error) => tracing::warn!(%error, "could not decode a message of the server, it is dropped"),
        }
    }

    fn receive_reply(&mut self, now: Instant, reference: u64, topic: &str, status: Status, payload: Payload) {
        let channel = self.requests.get(&reference).map(|request| request.channel);
        if let Some(id) = channel {
            let left = self.channels.get(&id).is_some_and(|channel| channel.leave_ref == Some(reference));
            self.resolve_with_reply(reference, status, payload);
            if left {
                self.end(id, CloseReason::Left);
            }
            return;
        }
        let Some(id) = self.topics.get(topic).copied() else { return };
        let is_join_reply = |stage, join_ref| stage == Stage::Joining && join_ref == reference;
        if !self.channels.get(&id).is_some_and(|channel| is_join_reply(channel.stage, channel.join_ref)) {
            return;
        }
        match status {
            Status::Ok => self.joined(id, payload),
            _ => {
                self.queue_event(id, ChannelEvent::Refused(payload));
                self.schedule_rejoin(now, id);
            }
        }
    }

    fn receive_event(&mut self, now: Instant, join_ref: &Ref, topic: &str, event: String, payload: Payload) {
        let Some(id) = self.topics.get(topic).copied() else { return };
        let Some(channel) = self.channels.get(&id) else { return };
        // The message belongs to an earlier join of the topic.
        if !join_ref.is_null() && join_ref.as_str().and_then(|text| text.parse().ok()) != Some(channel.join_ref) {
            return;
        }
        match event.as_str() {
            // The server confirms the leave that followed a join timeout. The channel still rejoins.
            event::CLOSE if channel.stage == Stage::Unjoined => {}
            event::CLOSE if channel.stage == Stage::Leaving => self.end(id, CloseReason::Left),
            event::CLOSE => self.end(id, CloseReason::ClosedByServer),
            event::ERROR if channel.stage == Stage::Leaving => self.end(id, CloseReason::Left),
            event::ERROR => {
                self.fail_sent(Some(id), |event| SendError::Crashed { event });
                self.interrupt(id, Interruption::Crashed(payload));
                self.schedule_rejoin(now, id);
            }
            _ => {
                // A message that overtakes the reply to its join belongs to that join.
                let join = channel.joins + u32::from(channel.stage == Stage::Joining);
                self.queue_event(id, ChannelEvent::Message(ChannelMessage { event, payload, join }));
            }
        }
    }
}
