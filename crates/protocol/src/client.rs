//! The client's side of the wire format: it encodes [`Inbound`] messages and decodes [`Received`] ones.
//!
//! The Rust client and the test kit call it. It is the inverse of [`crate::Serializer`], and property tests compare the
//! two. It supports V2 only, because V1 has neither join refs nor binary payloads.

use crate::{DecodeError, EncodeError, Frame, FrameKind, Inbound, Name, Payload, Status, binary, event, v2};

pub use crate::message::Received;

/// Decodes one message of a server.
///
/// # Errors
/// Returns [`DecodeError`] when the frame is not a message. The bytes of a peer never cause a panic.
pub fn decode(frame: Frame<'_>) -> Result<Received, DecodeError> {
    match frame {
        Frame::Text(text) => decode_text(text),
        Frame::Binary(bytes) => binary::decode_received(bytes),
    }
}

/// Appends one message of a client to `frame`, and returns the kind of frame that it must be sent in.
///
/// # Errors
/// Returns [`EncodeError`] when the wire format cannot carry the message. `frame` may then hold a part of it.
pub fn encode(message: &Inbound<'_>, frame: &mut Vec<u8>) -> Result<FrameKind, EncodeError> {
    let Inbound { join_ref, reference, topic, event, payload } = message;
    if let Some(data) = payload.as_binary() {
        return binary::encode_inbound(message, data, frame);
    }
    let payload = payload.json_bytes()?;
    v2::write_refs(frame, join_ref, reference)?;
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
    let topic = into_text("topic", topic)?;
    let event = into_text("event", event)?;
    if event != event::REPLY {
        return Ok(Received::Event { join_ref, topic, event, payload });
    }
    let reply: Reply =
        payload.parse().map_err(|error| DecodeError::Json { version: "V2", reason: error.to_string() })?;
    let payload = Payload::from_checked(reply.response.get());
    Ok(Received::Reply { join_ref, reference, topic, status: Status::from_word(&reply.status), payload })
}

/// The payload of a reply on the wire.
#[derive(serde::Deserialize)]
struct Reply {
    status: String,
    response: Box<serde_json::value::RawValue>,
}

fn into_text(part: &str, name: Name<'_>) -> Result<String, DecodeError> {
    match name {
        Name::Text(text) => Ok(text.into_owned()),
        Name::Json(json) => {
            let reason = format!("the {part} is not a string: {}", json.chars().take(100).collect::<String>());
            Err(DecodeError::Json { version: "V2", reason })
        }
    }
}
