//! Outgoing messages: the transports fetch the next encoded message here.
//!
//! A message is encoded when it leaves, with the refs of that moment, into the caller's buffer. A message that became
//! void in the queue is skipped. [`check_encodable`] rejects a message that the wire cannot carry before it is queued.

use super::Session;
use super::connection::Phase;
use super::outbox::Outgoing;
use crate::Payload;
use bennu_protocol::{EncodeError, FrameKind, Inbound, Name, Ref, client, event};
use std::sync::Arc;

impl Session {
    /// Appends the next message to `output`; returns `None` when no message is queued.
    pub(crate) fn transmit(&mut self, output: &mut Vec<u8>) -> Option<FrameKind> {
        if !matches!(self.phase, Phase::Open(_) | Phase::Closing { .. }) {
            return None;
        }
        while let Some(outgoing) = self.outbox.pop() {
            let start = output.len();
            match self.encode(outgoing, output) {
                Some(kind) => return Some(kind),
                None => output.truncate(start),
            }
        }
        None
    }

    /// Encodes a message; returns `None` for a join that a later one replaced and for a push whose caller has given up.
    fn encode(&mut self, outgoing: Outgoing, output: &mut Vec<u8>) -> Option<FrameKind> {
        let text = |number: u64| Ref::text(number.to_string());
        self.mark_sent(&outgoing);
        let (join_ref, reference, topic, event, payload): (_, _, Arc<str>, Box<str>, _) = match outgoing {
            Outgoing::Heartbeat(reference) => {
                (Ref::NULL, text(reference), event::PHOENIX_TOPIC.into(), event::HEARTBEAT.into(), Payload::empty())
            }
            Outgoing::Join(id, join_ref) => {
                let channel = self.channels.get(&id).filter(|channel| channel.join_ref == join_ref)?;
                let topic = Arc::clone(&channel.topic);
                (text(join_ref), text(join_ref), topic, event::JOIN.into(), channel.params.clone())
            }
            Outgoing::Leave { topic, join_ref, reference } => {
                (text(join_ref), text(reference), topic, event::LEAVE.into(), Payload::empty())
            }
            Outgoing::Push { topic, join_ref, push, .. } => {
                if push.expects_reply && !self.requests.contains_key(&push.reference) {
                    return None;
                }
                (text(join_ref), text(push.reference), topic, push.event, push.payload)
            }
        };
        let message = Inbound { join_ref, reference, topic: Name::from(&*topic), event: Name::from(&*event), payload };
        client::encode(&message, output)
            .inspect_err(|error| tracing::warn!(%error, "could not encode a message, it is not sent"))
            .ok()
    }
}

/// Checks whether the wire can carry a message. Refs need no check: they are digits, and short.
///
/// # Errors
/// As [`client::encode`].
pub(super) fn check_encodable(topic: &str, event: &str, payload: &Payload) -> Result<(), EncodeError> {
    const MAX_BINARY_NAME_BYTES: usize = 255;
    let is_encodable = match payload.as_binary() {
        Some(_) => topic.len().max(event.len()) <= MAX_BINARY_NAME_BYTES,
        None => payload.as_json().is_some(),
    };
    if is_encodable {
        return Ok(());
    }
    // The encoder returns the exact error.
    let message = Inbound {
        join_ref: Ref::NULL,
        reference: Ref::NULL,
        topic: Name::from(topic),
        event: Name::from(event),
        payload: payload.clone(),
    };
    client::encode(&message, &mut Vec::new()).map(drop)
}
