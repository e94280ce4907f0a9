//! Serializer V2, text frames: `[join_ref, ref, topic, event, payload]`.
//!
//! [`crate::Serializer`] and [`crate::client`] call it; `v1` uses its functions for refs and names. Source:
//! `Phoenix.Socket.V2.JSONSerializer`. Elements after the fifth are ignored, as in Phoenix. The keys of a reply are in
//! Phoenix's order, so clients receive the same bytes.
//!
//! Invariant: the decoder copies nothing but refs, escaped texts and the payload. serde_json finds the elements as raw
//! values, without recursion, so nesting has no limit but the length of the message.

use crate::reference::Value;
use crate::{DecodeError, EncodeError, FrameKind, Inbound, Name, Outbound, Payload, Ref};
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(crate) fn decode(text: &str) -> Result<Inbound<'_>, DecodeError> {
    let failed = |error: serde_json::Error| DecodeError::json("V2", &error);
    let [join_ref, reference, topic, event, payload] = read_elements(text).map_err(failed)?;
    Ok(Inbound {
        join_ref: read_ref(join_ref).map_err(failed)?,
        reference: read_ref(reference).map_err(failed)?,
        topic: read_name(topic).map_err(failed)?,
        event: read_name(event).map_err(failed)?,
        payload: Payload::from_checked(payload),
    })
}

/// Returns the text of the first five elements.
fn read_elements(text: &str) -> serde_json::Result<[&str; 5]> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let elements = deserializer.deserialize_seq(Elements)?;
    deserializer.end()?;
    Ok(elements)
}

/// Visits an array of at least five elements.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = [&'de str; 5];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array [join_ref, ref, topic, event, payload]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = [""; 5];
        for (index, element) in elements.iter_mut().enumerate() {
            let raw: Option<&'de RawValue> = array.next_element()?;
            *element = raw.ok_or_else(|| A::Error::invalid_length(index, &self))?.get();
        }
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements)
    }
}

/// Reads a JSON string; `None` for any other value. A string without escapes is borrowed. One with escapes is decoded,
/// which also refuses a lone surrogate.
fn read_text(json: &str) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return Ok(None) };
    if inner.contains('\\') {
        serde_json::from_str(json).map(|text| Some(Cow::Owned(text)))
    } else {
        Ok(Some(Cow::Borrowed(inner)))
    }
}

pub(crate) fn read_ref(json: &str) -> Result<Ref, serde_json::Error> {
    Ok(match read_text(json)? {
        Some(text) => Ref::text(&*text),
        None => Ref::json(json),
    })
}

pub(crate) fn read_name(json: &str) -> Result<Name<'_>, serde_json::Error> {
    Ok(match read_text(json)? {
        Some(text) => Name::Text(text),
        None => Name::Json(Cow::Borrowed(json)),
    })
}

pub(crate) fn encode(message: &Outbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    match *message {
        Outbound::Reply { join_ref, reference, topic, status, payload } => {
            let response = payload.json_bytes()?;
            write_refs(frame, join_ref, reference)?;
            write_name(frame, topic);
            frame.extend_from_slice(b",\"phx_reply\",{\"response\":");
            frame.extend_from_slice(response);
            frame.extend_from_slice(b",\"status\":");
            write_text(frame, status.as_str());
            frame.extend_from_slice(b"}]");
        }
        Outbound::Push { join_ref, topic, event, payload } => {
            write_event(frame, join_ref, &Ref::NULL, topic, event, payload)?;
        }
        Outbound::Broadcast { topic, event, payload } => {
            write_event(frame, &Ref::NULL, &Ref::NULL, topic, event, payload)?;
        }
        Outbound::End { join_ref, topic, event, payload } => {
            write_event(frame, join_ref, join_ref, topic, event, payload)?;
        }
    }
    Ok(FrameKind::Text)
}

fn write_event(
    frame: &mut Vec<u8>,
    join_ref: &Ref,
    reference: &Ref,
    topic: &str,
    event: &str,
    payload: &Payload,
) -> Result<(), EncodeError> {
    let payload = payload.json_bytes()?;
    write_refs(frame, join_ref, reference)?;
    write_text(frame, topic);
    frame.push(b',');
    write_text(frame, event);
    frame.push(b',');
    frame.extend_from_slice(payload);
    frame.push(b']');
    Ok(())
}

/// Writes the array up to its topic.
pub(crate) fn write_refs(frame: &mut Vec<u8>, join_ref: &Ref, reference: &Ref) -> Result<(), EncodeError> {
    frame.push(b'[');
    write_ref(frame, join_ref)?;
    frame.push(b',');
    write_ref(frame, reference)?;
    frame.push(b',');
    Ok(())
}

pub(crate) fn write_ref(frame: &mut Vec<u8>, reference: &Ref) -> Result<(), EncodeError> {
    match &reference.0 {
        Value::Null => frame.extend_from_slice(b"null"),
        Value::Text(text) => write_text(frame, text),
        Value::Json(json) => frame.extend_from_slice(json.as_bytes()),
        Value::Bytes(bytes) => return Err(EncodeError::RefNotUtf8 { len: bytes.len() }),
    }
    Ok(())
}

pub(crate) fn write_name(frame: &mut Vec<u8>, name: &Name<'_>) {
    match name {
        Name::Text(text) => write_text(frame, text),
        Name::Json(json) => frame.extend_from_slice(json.as_bytes()),
    }
}

/// Writes a JSON string. Topics, events and refs rarely need escapes, and are then one copy.
pub(crate) fn write_text(frame: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        frame.push(b'"');
        frame.extend_from_slice(text.as_bytes());
        frame.push(b'"');
    } else {
        serde_json::to_writer(frame, text).expect("a string is always JSON and a Vec never fails to grow");
    }
}
