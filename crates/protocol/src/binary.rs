//! Serializer V2, binary frames: one byte for the kind, one byte for the length of each part, the parts, the data.
//!
//! [`crate::Serializer`] and [`crate::client`] call it. Source: `Phoenix.Socket.V2.JSONSerializer`. The kinds are 0 for
//! a push, 1 for a reply and 2 for a broadcast. Clients send pushes only.
//!
//! | kind | lengths | rest |
//! |---|---|---|
//! | 0 from a client | join_ref, ref, topic, event | the four, data |
//! | 0 to a client | join_ref, topic, event | the three, data |
//! | 1 | join_ref, ref, topic, status | the four, data |
//! | 2 | topic, event | the two, data |

use crate::message::Received;
use crate::{DecodeError, EncodeError, FrameKind, Inbound, Name, Outbound, Payload, Ref, Status};
use bytes::Bytes;

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

pub(crate) fn decode(frame: &[u8]) -> Result<Inbound<'_>, DecodeError> {
    match frame.first() {
        Some(&PUSH) | None => {}
        Some(&kind) => return Err(DecodeError::UnknownKind(kind)),
    }
    let ([join_ref, reference, topic, event], data) = split(frame, ["join ref", "ref", "topic", "event"])?;
    Ok(Inbound {
        join_ref: Ref::from_bytes(join_ref),
        reference: Ref::from_bytes(reference),
        topic: Name::from(read_text("topic", topic)?),
        event: Name::from(read_text("event", event)?),
        payload: Payload::binary(Bytes::copy_from_slice(data)),
    })
}

/// Decodes a message of a server.
pub(crate) fn decode_received(frame: &[u8]) -> Result<Received, DecodeError> {
    let text = |part, bytes| read_text(part, bytes).map(str::to_owned);
    let payload = |data| Payload::binary(Bytes::copy_from_slice(data));
    match frame.first() {
        None => Err(DecodeError::Truncated { part: "header", len: 0, needed: 1 }),
        Some(&PUSH) => {
            let ([join_ref, topic, event], data) = split(frame, ["join ref", "topic", "event"])?;
            let (join_ref, topic, event) = (Ref::from_bytes(join_ref), text("topic", topic)?, text("event", event)?);
            Ok(Received::Event { join_ref, topic, event, payload: payload(data) })
        }
        Some(&REPLY) => {
            let ([join_ref, reference, topic, status], data) = split(frame, ["join ref", "ref", "topic", "status"])?;
            Ok(Received::Reply {
                join_ref: Ref::from_bytes(join_ref),
                reference: Ref::from_bytes(reference),
                topic: text("topic", topic)?,
                status: Status::from_word(read_text("status", status)?),
                payload: payload(data),
            })
        }
        Some(&BROADCAST) => {
            let ([topic, event], data) = split(frame, ["topic", "event"])?;
            let (topic, event) = (text("topic", topic)?, text("event", event)?);
            Ok(Received::Event { join_ref: Ref::NULL, topic, event, payload: payload(data) })
        }
        Some(&kind) => Err(DecodeError::UnknownKind(kind)),
    }
}

/// Returns the parts that a frame's header announces, and the data after them.
fn split<'a, const N: usize>(
    frame: &'a [u8],
    names: [&'static str; N],
) -> Result<([&'a [u8]; N], &'a [u8]), DecodeError> {
    let truncated = |part, needed| DecodeError::Truncated { part, len: frame.len(), needed };
    let lengths = frame.get(1..=N).ok_or_else(|| truncated("header", N + 1))?;
    let mut parts: [&[u8]; N] = [&[]; N];
    let mut at = N + 1;
    for ((part, name), len) in parts.iter_mut().zip(names).zip(lengths) {
        let end = at + usize::from(*len);
        *part = frame.get(at..end).ok_or_else(|| truncated(name, end))?;
        at = end;
    }
    Ok((parts, &frame[at..]))
}

fn read_text<'a>(part: &'static str, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8(part))
}

/// Encodes a message of a client.
pub(crate) fn encode_inbound(
    message: &Inbound<'_>,
    data: &[u8],
    frame: &mut Vec<u8>,
) -> Result<FrameKind, EncodeError> {
    let parts = [
        ("join ref", message.join_ref.as_bytes()),
        ("ref", message.reference.as_bytes()),
        ("topic", name_bytes(&message.topic)),
        ("event", name_bytes(&message.event)),
    ];
    write(frame, PUSH, &parts, data)
}

fn name_bytes<'a>(name: &'a Name<'_>) -> &'a [u8] {
    match name {
        Name::Text(text) | Name::Json(text) => text.as_bytes(),
    }
}

pub(crate) fn encode(message: &Outbound<'_>, data: &Bytes, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    match *message {
        Outbound::Reply { join_ref, reference, topic, status, .. } => {
            let parts = [
                ("join ref", join_ref.as_bytes()),
                ("ref", reference.as_bytes()),
                ("topic", name_bytes(topic)),
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
