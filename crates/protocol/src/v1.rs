//! Serializer V1: `{"topic", "event", "payload", "ref"}`. [`crate::Serializer`] is its only caller.
//!
//! Source: `Phoenix.Socket.V1.JSONSerializer`. The server writes the keys in the same order. All four keys are
//! required, and each can be null. A client can add `join_ref`; the server never sends one.

use crate::v2::{read_name, read_ref, write_name, write_ref, write_text};
use crate::{DecodeError, EncodeError, FrameKind, Inbound, Name, Outbound, Payload, Ref};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, rename = "ref")]
    reference: &'a RawValue,
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
}

pub(crate) fn decode(json: &[u8]) -> Result<Inbound<'_>, DecodeError> {
    let failed = |error: serde_json::Error| DecodeError::json("V1", &error);
    // serde's derive also accepts an array; Phoenix accepts the object only.
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(DecodeError::Json { version: "V1", reason: "expected an object".to_owned() });
    }
    let object: Object<'_> = serde_json::from_slice(json).map_err(failed)?;
    Ok(Inbound {
        join_ref: object.join_ref.map_or(Ok(Ref::NULL), |json| read_ref(json.get())).map_err(failed)?,
        reference: read_ref(object.reference.get()).map_err(failed)?,
        topic: read_name(object.topic.get()).map_err(failed)?,
        event: read_name(object.event.get()).map_err(failed)?,
        payload: Payload::from_checked(object.payload.get()),
    })
}

pub(crate) fn encode(message: &Outbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    let text = |text| Name::Text(Cow::Borrowed(text));
    match *message {
        Outbound::Reply { reference, topic, status, payload, .. } => {
            let response = payload.json_bytes()?;
            write_event(frame, "phx_reply");
            frame.extend_from_slice(b"{\"response\":");
            frame.extend_from_slice(response);
            frame.extend_from_slice(b",\"status\":");
            write_text(frame, status.as_str());
            frame.push(b'}');
            write_ref_and_topic(frame, reference, topic)?;
        }
        Outbound::Push { topic, event, payload, .. } | Outbound::Broadcast { topic, event, payload } => {
            let payload = payload.json_bytes()?;
            write_event(frame, event);
            frame.extend_from_slice(payload);
            write_ref_and_topic(frame, &Ref::NULL, &text(topic))?;
        }
        Outbound::End { join_ref, topic, event, payload } => {
            let payload = payload.json_bytes()?;
            write_event(frame, event);
            frame.extend_from_slice(payload);
            write_ref_and_topic(frame, join_ref, &text(topic))?;
        }
    }
    Ok(FrameKind::Text)
}

/// Writes the object up to its payload.
fn write_event(frame: &mut Vec<u8>, event: &str) {
    frame.extend_from_slice(b"{\"event\":");
    write_text(frame, event);
    frame.extend_from_slice(b",\"payload\":");
}

/// Writes the object after its payload.
fn write_ref_and_topic(frame: &mut Vec<u8>, reference: &Ref, topic: &Name<'_>) -> Result<(), EncodeError> {
    frame.extend_from_slice(b",\"ref\":");
    write_ref(frame, reference)?;
    frame.extend_from_slice(b",\"topic\":");
    write_name(frame, topic);
    frame.push(b'}');
    Ok(())
}
