//! Serializer V2, text frames: `[join_ref, ref, topic, event, payload]`. Called by [`crate::Serializer`] only.
//!
//! Source: `Phoenix.Socket.V2.JSONSerializer`. Elements after the fifth are ignored, as there; keys are in the order in
//! which Phoenix writes them, so that what clients receive is the same byte for byte.

use crate::json::{Scanner, SyntaxError};
use crate::reference::Value;
use crate::{DecodeError, EncodeError, FrameKind, Inbound, Name, Outbound, Payload, Ref};
use std::borrow::Cow;

pub(crate) fn decode(text: &str) -> Result<Inbound<'_>, DecodeError> {
    let [join_ref, reference, topic, event, payload] = elements(text).map_err(|error| failed(&error))?;
    Ok(Inbound {
        join_ref: read_ref(join_ref).map_err(|error| failed(&error))?,
        reference: read_ref(reference).map_err(|error| failed(&error))?,
        topic: read_name(topic).map_err(|error| failed(&error))?,
        event: read_name(event).map_err(|error| failed(&error))?,
        payload: Payload::from_checked(payload),
    })
}

fn failed(error: &dyn std::error::Error) -> DecodeError {
    DecodeError::Json { version: "V2", reason: error.to_string() }
}

/// The five elements as they stand in the text: each is scanned once and copied only where it has to be.
fn elements(text: &str) -> Result<[&str; 5], SyntaxError> {
    let mut scanner = Scanner::new(text);
    scanner.expect(b'[', "an array [join_ref, ref, topic, event, payload]")?;
    let mut elements = [""; 5];
    for (n, element) in elements.iter_mut().enumerate() {
        if n > 0 {
            scanner.expect(b',', "five elements: join_ref, ref, topic, event, payload")?;
        }
        *element = scanner.value()?;
    }
    while scanner.passes(b',') {
        scanner.value()?;
    }
    scanner.expect(b']', "`,` or `]`")?;
    scanner.end()?;
    Ok(elements)
}

/// A JSON string without escapes is borrowed; one with escapes is decoded, which also refuses a lone surrogate.
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
            head(frame, join_ref, reference)?;
            write_name(frame, topic);
            frame.extend_from_slice(b",\"phx_reply\",{\"response\":");
            frame.extend_from_slice(response);
            frame.extend_from_slice(b",\"status\":");
            write_text(frame, status.as_str());
            frame.extend_from_slice(b"}]");
        }
        Outbound::Push { join_ref, topic, event, payload } => {
            event_message(frame, join_ref, &Ref::NULL, topic, event, payload)?;
        }
        Outbound::Broadcast { topic, event, payload } => {
            event_message(frame, &Ref::NULL, &Ref::NULL, topic, event, payload)?;
        }
        Outbound::End { join_ref, topic, event, payload } => {
            event_message(frame, join_ref, join_ref, topic, event, payload)?;
        }
    }
    Ok(FrameKind::Text)
}

fn event_message(
    frame: &mut Vec<u8>,
    join_ref: &Ref,
    reference: &Ref,
    topic: &str,
    event: &str,
    payload: &Payload,
) -> Result<(), EncodeError> {
    let payload = payload.json_bytes()?;
    head(frame, join_ref, reference)?;
    write_text(frame, topic);
    frame.push(b',');
    write_text(frame, event);
    frame.push(b',');
    frame.extend_from_slice(payload);
    frame.push(b']');
    Ok(())
}

pub(crate) fn head(frame: &mut Vec<u8>, join_ref: &Ref, reference: &Ref) -> Result<(), EncodeError> {
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

/// A JSON string. Topics, events and refs rarely need escapes, and then this is one copy.
pub(crate) fn write_text(frame: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        frame.push(b'"');
        frame.extend_from_slice(text.as_bytes());
        frame.push(b'"');
    } else {
        serde_json::to_writer(frame, text).expect("a string is always JSON and a Vec never fails to grow");
    }
}
