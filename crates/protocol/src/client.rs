//! The wire as a client sees it: V2 messages written, and what a server sends read. Used by the client and by test kits;
//! the mirror of [`crate::Serializer`], and held against it by property tests.
//!
//! Clients of ours speak V2 only: V1 has neither join refs nor binary payloads.

use crate::{DecodeError, EncodeError, Frame, FrameKind, Inbound, Name, Payload, Status, binary, event, v2};

pub use crate::message::Received;

/// Reads one message of a server.
///
/// # Errors
/// [`DecodeError`] says what the frame is instead. Never panics on a peer's bytes.
pub fn decode(frame: Frame<'_>) -> Result<Received, DecodeError> {
    match frame {
        Frame::Text(text) => decode_text(text),
        Frame::Binary(bytes) => binary::decode_received(bytes),
    }
}

/// Appends one message of a client to `frame` and says which kind of frame it needs.
///
/// # Errors
/// [`EncodeError`] says what the wire cannot carry; `frame` may then hold a part of it.
pub fn encode(message: &Inbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    let Inbound { join_ref, reference, topic, event, payload } = message;
    if let Some(data) = payload.as_binary() {
        return binary::encode_inbound(message, data, frame);
    }
    let payload = payload.json_bytes()?;
    v2::head(frame, join_ref, reference)?;
    v2::write_name(frame, topic);
    frame.push(b',');
    v2::write_name(frame, event);
    frame.push(b',');
    frame.extend_from_slice(payload);
    frame.push(b']');
    Ok(FrameKind::Text)
}

fn decode_text(text: &str) -> Result<Received, DecodeError> {
    let Inbound { join_ref, reference, topic, event, payload } = v2::decode(text)?;
    let topic = owned("topic", topic)?;
    let event = owned("event", event)?;
    if event != event::REPLY {
        return Ok(Received::Event { join_ref, topic, event, payload });
    }
    let wrong = |reason: String| DecodeError::Json { version: "V2", reason };
    let reply = payload.parse::<Reply>().map_err(|error| wrong(error.to_string()))?;
    let payload = Payload::from_checked(reply.response.get());
    Ok(Received::Reply { join_ref, reference, topic, status: Status::from_word(&reply.status), payload })
}

/// What a reply's payload looks like on the wire.
#[derive(serde::Deserialize)]
struct Reply {
    status: String,
    response: Box<serde_json::value::RawValue>,
}

fn owned(part: &str, name: Name<'_>) -> Result<String, DecodeError> {
    match name {
        Name::Text(text) => Ok(text.into_owned()),
        Name::Json(json) => {
            let reason = format!("the {part} must be a string, it is {}", json.chars().take(100).collect::<String>());
            Err(DecodeError::Json { version: "V2", reason })
        }
    }
}
