//! Serializer V2, binary frames: a kind, one length byte for each part, the parts, the data.
//!
//! Source: `Phoenix.Socket.V2.JSONSerializer`. Kinds: 0 push, 1 reply, 2 broadcast. Clients send pushes only.
//!
//! | kind | lengths | then |
//! |---|---|---|
//! | 0 from a client | join_ref, ref, topic, event | the four, data |
//! | 0 to a client | join_ref, topic, event | the three, data |
//! | 1 | join_ref, ref, topic, status | the four, data |
//! | 2 | topic, event | the two, data |

use crate::{DecodeError, EncodeError, FrameKind, Inbound, Name, Outbound, Payload, Ref};
use bytes::Bytes;
use std::borrow::Cow;

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

pub(crate) fn decode(frame: &[u8]) -> Result<Inbound<'_>, DecodeError> {
    let truncated = |part, needed| DecodeError::Truncated { part, len: frame.len(), needed };
    match frame.first() {
        None => return Err(truncated("header", 5)),
        Some(&PUSH) => {}
        Some(&kind) => return Err(DecodeError::UnknownKind(kind)),
    }
    let &[_, join_ref, reference, topic, event] = frame.first_chunk().ok_or_else(|| truncated("header", 5))?;
    let mut at = 5;
    let mut part = |name, len: u8| {
        let end = at + usize::from(len);
        let bytes = frame.get(at..end).ok_or_else(|| truncated(name, end))?;
        at = end;
        Ok(bytes)
    };
    let join_ref = part("join ref", join_ref)?;
    let reference = part("ref", reference)?;
    let topic = part("topic", topic)?;
    let event = part("event", event)?;
    Ok(Inbound {
        join_ref: Ref::from_bytes(join_ref),
        reference: Ref::from_bytes(reference),
        topic: read_name("topic", topic)?,
        event: read_name("event", event)?,
        payload: Payload::binary(Bytes::copy_from_slice(&frame[at..])),
    })
}

fn read_name<'a>(part: &'static str, bytes: &'a [u8]) -> Result<Name<'a>, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8(part))?;
    Ok(Name::Text(Cow::Borrowed(text)))
}

pub(crate) fn encode(message: &Outbound<'_>, data: &Bytes, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    match *message {
        Outbound::Reply { join_ref, reference, topic, status, .. } => {
            let topic = match topic {
                Name::Text(text) | Name::Json(text) => text.as_bytes(),
            };
            let parts = [
                ("join ref", join_ref.as_bytes()),
                ("ref", reference.as_bytes()),
                ("topic", topic),
                ("status", status.as_str().as_bytes()),
            ];
            write(frame, REPLY, &parts, data)
        }
        Outbound::Push { join_ref, topic, event, .. } | Outbound::End { join_ref, topic, event, .. } => {
            let parts = [("join ref", join_ref.as_bytes()), ("topic", topic.as_bytes()), ("event", event.as_bytes())];
            write(frame, PUSH, &parts, data)
        }
        Outbound::Broadcast { topic, event, .. } => {
            write(frame, BROADCAST, &[("topic", topic.as_bytes()), ("event", event.as_bytes())], data)
        }
    }
}

fn write(
    frame: &mut Vec<u8>,
    kind: u8,
    parts: &[(&'static str, &[u8])],
    data: &[u8],
) -> Result<FrameKind, EncodeError> {
    frame.push(kind);
    for (part, bytes) in parts {
        frame.push(u8::try_from(bytes.len()).map_err(|_| EncodeError::TooLong { part, len: bytes.len() })?);
    }
    for (_, bytes) in parts {
        frame.extend_from_slice(bytes);
    }
    frame.extend_from_slice(data);
    Ok(FrameKind::Binary)
}
