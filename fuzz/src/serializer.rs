//! The serializers V1 and V2, with any bytes as a text frame and as a binary frame.
//!
//! Each target encodes every kind of message to a client from the parts of a decoded message. It decodes the result and
//! compares the parts.

use bennu_protocol::{EncodeError, Frame, FrameKind, Inbound, Name, Outbound, Payload, Ref, Serializer, Status, event};
use serde_json::value::RawValue;

/// Decodes the bytes as a V1 message, and panics when an invariant of the serializer is violated.
pub fn v1(data: &[u8]) {
    let binary = Serializer::V1.decode(Frame::Binary(data));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(Serializer::V1.decode(Frame::Text(text)), binary, "V1 ignores the frame's kind");
    }
    if let Ok(inbound) = binary {
        encode_each(Serializer::V1, &inbound, |encoded| check_v1(&inbound, encoded));
    }
}

/// Decodes the bytes as a V2 message, and panics when an invariant of the serializer is violated.
pub fn v2(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let decoded = Serializer::V2.decode(Frame::Text(text));
        assert_eq!(decoded.is_ok(), payload_by_serde_json(text).is_some(), "{decoded:?}");
        if let Ok(inbound) = decoded {
            assert_eq!(inbound.payload.as_json(), payload_by_serde_json(text));
            encode_each(Serializer::V2, &inbound, |encoded| check_v2_text(&inbound, encoded));
        }
    }
    if let Ok(inbound) = Serializer::V2.decode(Frame::Binary(data)) {
        encode_each(Serializer::V2, &inbound, |encoded| check_v2_binary(&inbound, encoded));
        let inbound = Inbound { payload: Payload::empty(), ..inbound };
        // A channel can reply to binary data with JSON. JSON cannot carry every ref of a binary frame.
        encode_each(Serializer::V2, &inbound, |encoded| match encoded.frame {
            Err(EncodeError::RefNotUtf8 { len }) => assert!(len <= 255),
            _ => check_v2_text(&inbound, encoded),
        });
    }
}

/// A message to a client, and the frame that it was encoded into.
struct Encoded<'a> {
    message: Outbound<'a>,
    frame: Result<(FrameKind, Vec<u8>), EncodeError>,
}

/// Encodes every kind of message to a client. A push, a broadcast and an end need a topic and an event that are text.
fn encode_each(serializer: Serializer, inbound: &Inbound<'_>, mut check: impl FnMut(Encoded<'_>)) {
    let Inbound { join_ref, reference, topic, payload, .. } = inbound;
    let status = Status::Other(inbound.event.as_str().unwrap_or("ok").to_owned().into());
    let mut encode = |message| {
        let mut frame = Vec::new();
        let kind = serializer.encode(&message, &mut frame);
        check(Encoded { message, frame: kind.map(|kind| (kind, frame)) });
    };
    encode(Outbound::Reply { join_ref, reference, topic, status: &status, payload });
    if let (Some(topic), Some(event)) = (topic.as_str(), inbound.event.as_str()) {
        encode(Outbound::Push { join_ref, topic, event, payload });
        encode(Outbound::Broadcast { topic, event, payload });
        encode(Outbound::End { join_ref, topic, event, payload });
    }
}

fn check_v1(inbound: &Inbound<'_>, encoded: Encoded<'_>) {
    let (kind, frame) = match encoded.frame {
        Ok(frame) => frame,
        Err(EncodeError::BinaryInV1 { .. }) => panic!("a V1 message has no binary payload"),
        Err(error) => panic!("could not encode the parts of a decoded message: {error}"),
    };
    assert_eq!(kind, FrameKind::Text);
    let text = std::str::from_utf8(&frame).expect("a text frame is UTF-8");
    let decoded = Serializer::V1.decode(Frame::Text(text)).expect("an encoded message has the four keys");
    assert_eq!(decoded.topic, inbound.topic);
    assert_eq!(decoded.join_ref, Ref::NULL, "the server sends no join_ref in V1");
    let json = inbound.payload.as_json().expect("a V1 payload is JSON");
    match encoded.message {
        Outbound::Reply { reference, status, .. } => {
            assert_eq!((&decoded.reference, decoded.event), (reference, Name::from(event::REPLY)));
            assert_eq!(decoded.payload.as_json(), Some(&*reply_payload(status, json)));
        }
        Outbound::Push { .. } | Outbound::Broadcast { .. } => {
            assert_eq!((decoded.reference, decoded.event), (Ref::NULL, inbound.event.clone()));
            assert_eq!(decoded.payload.as_json(), Some(json));
        }
        Outbound::End { join_ref, .. } => {
            assert_eq!((&decoded.reference, decoded.event), (join_ref, inbound.event.clone()));
            assert_eq!(decoded.payload.as_json(), Some(json));
        }
    }
}

fn check_v2_text(inbound: &Inbound<'_>, encoded: Encoded<'_>) {
    let (kind, frame) = encoded.frame.expect("the parts of a decoded message can be encoded");
    assert_eq!(kind, FrameKind::Text);
    let text = std::str::from_utf8(&frame).expect("a text frame is UTF-8");
    let decoded = Serializer::V2.decode(Frame::Text(text)).expect("an encoded message has the five elements");
    assert_eq!(decoded.topic, inbound.topic);
    let json = inbound.payload.as_json().expect("the payload of a text frame is JSON");
    let (join_ref, reference) = match encoded.message {
        Outbound::Reply { join_ref, reference, status, .. } => {
            assert_eq!(decoded.event, Name::from(event::REPLY));
            assert_eq!(decoded.payload.as_json(), Some(&*reply_payload(status, json)));
            assert_eq!((&decoded.join_ref, &decoded.reference), (join_ref, reference));
            return;
        }
        Outbound::Push { join_ref, .. } => (join_ref, &Ref::NULL),
        Outbound::Broadcast { .. } => (&Ref::NULL, &Ref::NULL),
        Outbound::End { join_ref, .. } => (join_ref, join_ref),
    };
    assert_eq!((&decoded.join_ref, &decoded.reference), (join_ref, reference));
    assert_eq!(decoded.event, inbound.event);
    assert_eq!(decoded.payload.as_json(), Some(json));
}

/// Checks a binary frame of the server, whose layout differs from that of a client's push.
fn check_v2_binary(inbound: &Inbound<'_>, encoded: Encoded<'_>) {
    let (kind, mut frame) = encoded.frame.expect("no part is longer than in the decoded message");
    assert_eq!(kind, FrameKind::Binary);
    let data = inbound.payload.as_binary().expect("the payload of a binary frame is binary");
    assert!(frame.ends_with(data));
    let parts = match encoded.message {
        Outbound::Reply { status, .. } => {
            assert_eq!(frame[0], 1);
            // A reply has the layout of a client's push, with the status in place of the event.
            frame[0] = 0;
            let decoded = Serializer::V2.decode(Frame::Binary(&frame)).expect("a reply has the layout of a push");
            let expected = Inbound { event: Name::from(status.as_str()), ..inbound.clone() };
            assert_eq!(decoded, expected);
            return;
        }
        Outbound::Push { .. } | Outbound::End { .. } => {
            assert_eq!(frame[0], 0);
            3
        }
        Outbound::Broadcast { .. } => {
            assert_eq!(frame[0], 2);
            2
        }
    };
    let lengths: Vec<usize> = frame[1..=parts].iter().map(|len| usize::from(*len)).collect();
    assert_eq!(frame.len(), 1 + parts + lengths.iter().sum::<usize>() + data.len());
    let event_at = 1 + parts + lengths[..parts - 1].iter().sum::<usize>();
    let event = std::str::from_utf8(&frame[event_at..][..lengths[parts - 1]]).expect("an event is UTF-8");
    assert_eq!(inbound.event, Name::from(event));
    let topic_at = event_at - lengths[parts - 2];
    let topic = std::str::from_utf8(&frame[topic_at..event_at]).expect("a topic is UTF-8");
    assert_eq!(inbound.topic, Name::from(topic));
}

/// Returns the payload of a V2 message, read by a simpler decoder: an array of five or more raw values. The first four
/// must be readable if they are strings.
fn payload_by_serde_json(text: &str) -> Option<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let [names @ .., payload] = elements.get(..5)? else { return None };
    let is_readable = |raw: &RawValue| !raw.get().starts_with('"') || serde_json::from_str::<String>(raw.get()).is_ok();
    names.iter().all(|raw| is_readable(raw)).then_some(payload.get())
}

/// Returns the payload of a reply in a text frame.
fn reply_payload(status: &Status, response: &str) -> String {
    let status = Payload::json(status.as_str());
    format!(r#"{{"response":{response},"status":{}}}"#, status.as_json().expect("a string is JSON"))
}
