//! Serializer V2, fed with any bytes as text and as a binary frame.
//!
//! What decodes is answered in every way, and each answer must say the same when it is read back.

use crate::answers::{self, Answer};
use bennu_protocol::{EncodeError, Frame, FrameKind, Inbound, Name, Outbound, Ref, Serializer, event};
use serde_json::value::RawValue;

/// Decodes the bytes, answers what they say, and panics when a promise is broken.
pub fn v2(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let decoded = Serializer::V2.decode(Frame::Text(text));
        assert_eq!(decoded.is_ok(), as_serde_reads_it(text).is_some(), "{decoded:?}");
        if let Ok(inbound) = decoded {
            let payload = as_serde_reads_it(text).expect("just seen");
            assert_eq!(inbound.payload.as_json(), Some(payload));
            answers::each(Serializer::V2, &inbound, |answer| check_text(&inbound, answer));
        }
    }
    if let Ok(inbound) = Serializer::V2.decode(Frame::Binary(data)) {
        answers::each(Serializer::V2, &inbound, |answer| check_binary(&inbound, answer));
        let json = Inbound { payload: bennu_protocol::Payload::empty(), ..inbound };
        // A channel may answer bytes with JSON, which not every ref of a binary frame can stand in.
        answers::each(Serializer::V2, &json, |answer| match answer.encoded {
            Err(EncodeError::RefNotUtf8 { len }) => assert!(len <= 255),
            _ => check_text(&json, answer),
        });
    }
}

/// The payload of a message by another scanner than ours: an array of five or more, the first four of which are readable
/// when they are strings.
fn as_serde_reads_it(text: &str) -> Option<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let [names @ .., payload] = elements.get(..5)? else { return None };
    let readable = |raw: &RawValue| !raw.get().starts_with('"') || serde_json::from_str::<String>(raw.get()).is_ok();
    names.iter().all(|raw| readable(raw)).then_some(payload.get())
}

fn check_text(inbound: &Inbound<'_>, answer: Answer<'_>) {
    let (kind, frame) = answer.encoded.expect("what was decoded can be encoded");
    assert_eq!(kind, FrameKind::Text);
    let text = std::str::from_utf8(&frame).expect("a text frame is UTF-8");
    let again = Serializer::V2.decode(Frame::Text(text)).expect("an answer has the five elements of a message");
    assert_eq!(again.topic, inbound.topic);
    let json = inbound.payload.as_json().expect("a text frame carries JSON");
    let (join_ref, reference) = match answer.message {
        Outbound::Reply { join_ref, reference, status, .. } => {
            assert_eq!(again.event, Name::from(event::REPLY));
            assert_eq!(again.payload.as_json(), Some(&*answers::reply_payload(status, json)));
            assert_eq!((&again.join_ref, &again.reference), (join_ref, reference));
            return;
        }
        Outbound::Push { join_ref, .. } => (join_ref, &Ref::NULL),
        Outbound::Broadcast { .. } => (&Ref::NULL, &Ref::NULL),
        Outbound::End { join_ref, .. } => (join_ref, join_ref),
    };
    assert_eq!((&again.join_ref, &again.reference), (join_ref, reference));
    assert_eq!(again.event, inbound.event);
    assert_eq!(again.payload.as_json(), Some(json));
}

/// The frames of the server have layouts of their own; what a client would read must be what went in.
fn check_binary(inbound: &Inbound<'_>, answer: Answer<'_>) {
    let (kind, mut frame) = answer.encoded.expect("no part is longer in an answer than in the message");
    assert_eq!(kind, FrameKind::Binary);
    let data = inbound.payload.as_binary().expect("a binary frame carries binary data");
    assert!(frame.ends_with(data));
    let parts = match answer.message {
        Outbound::Reply { status, .. } => {
            assert_eq!(frame[0], 1);
            // A reply has the layout of a client's push, with the status in place of the event.
            frame[0] = 0;
            let again = Serializer::V2.decode(Frame::Binary(&frame)).expect("a reply has the layout of a push");
            let expected = Inbound { event: Name::from(status.as_str()), ..inbound.clone() };
            assert_eq!(again, expected);
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
