//! Serializer V1: `{"topic", "event", "payload", "ref"}`. Called by [`crate::Serializer`] only.
//!
//! Source: `Phoenix.Socket.V1.JSONSerializer`, whose order of keys is kept. All four keys are required (null counts), `join_ref` is optional, and
//! what is sent never carries it.

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
    let fail = |error: serde_json::Error| DecodeError::Json { version: "V1", reason: error.to_string() };
    // An array would also do for serde's derive; Phoenix wants the object.
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(DecodeError::Json { version: "V1", reason: "expected an object".to_owned() });
    }
    let object: Object<'_> = serde_json::from_slice(json).map_err(fail)?;
    Ok(Inbound {
        join_ref: object.join_ref.map_or(Ok(Ref::NULL), |json| read_ref(json.get())).map_err(fail)?,
        reference: read_ref(object.reference.get()).map_err(fail)?,
        topic: read_name(object.topic.get()).map_err(fail)?,
        event: read_name(object.event.get()).map_err(fail)?,
        payload: Payload::from_checked(object.payload.get()),
    })
}

pub(crate) fn encode(message: &Outbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    let text = |text| Name::Text(Cow::Borrowed(text));
    match *message {
        Outbound::Reply { reference, topic, status, payload, .. } => {
            let response = payload.json_bytes()?;
            head(frame, "phx_reply");
            frame.extend_from_slice(b"{\"response\":");
            frame.extend_from_slice(response);
            frame.extend_from_slice(b",\"status\":");
            write_text(frame, status.as_str());
            frame.push(b'}');
            tail(frame, reference, topic)?;
        }
        Outbound::Push { topic, event, payload, .. } | Outbound::Broadcast { topic, event, payload } => {
            let payload = payload.json_bytes()?;
            head(frame, event);
            frame.extend_from_slice(payload);
            tail(frame, &Ref::NULL, &text(topic))?;
        }
        Outbound::End { join_ref, topic, event, payload } => {
            let payload = payload.json_bytes()?;
            head(frame, event);
            frame.extend_from_slice(payload);
            tail(frame, join_ref, &text(topic))?;
        }
    }
    Ok(FrameKind::Text)
}

fn head(frame: &mut Vec<u8>, event: &str) {
    frame.extend_from_slice(b"{\"event\":");
    write_text(frame, event);
    frame.extend_from_slice(b",\"payload\":");
}

fn tail(frame: &mut Vec<u8>, reference: &Ref, topic: &Name<'_>) -> Result<(), EncodeError> {
    frame.extend_from_slice(b",\"ref\":");
    write_ref(frame, reference)?;
    frame.extend_from_slice(b",\"topic\":");
    write_name(frame, topic);
    frame.push(b'}');
    Ok(())
}
