//! Serializer V1, fed with any bytes as text and as a binary frame.
//!
//! What decodes is answered in every way, and each answer must say the same when it is read back.

use crate::answers::{self, Answer};
use bennu_protocol::{EncodeError, Frame, FrameKind, Inbound, Name, Outbound, Ref, Serializer, event};

/// Decodes the bytes, answers what they say, and panics when a promise is broken.
pub fn v1(data: &[u8]) {
    let binary = Serializer::V1.decode(Frame::Binary(data));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(Serializer::V1.decode(Frame::Text(text)), binary, "V1 does not look at the frame's kind");
    }
    if let Ok(inbound) = binary {
        answers::each(Serializer::V1, &inbound, |answer| check(&inbound, answer));
    }
}

fn check(inbound: &Inbound<'_>, answer: Answer<'_>) {
    let (kind, frame) = match answer.encoded {
        Ok(encoded) => encoded,
        Err(EncodeError::BinaryInV1 { .. }) => panic!("no binary payload comes out of a V1 message"),
        Err(error) => panic!("what was decoded cannot be encoded: {error}"),
    };
    assert_eq!(kind, FrameKind::Text);
    let text = std::str::from_utf8(&frame).expect("a text frame is UTF-8");
    let again = Serializer::V1.decode(Frame::Text(text)).expect("an answer has the keys of a message");
    assert_eq!(again.topic, inbound.topic);
    assert_eq!(again.join_ref, Ref::NULL, "V1 sends no join_ref");
    let json = inbound.payload.as_json().expect("V1 has JSON only");
    match answer.message {
        Outbound::Reply { reference, status, .. } => {
            assert_eq!((&again.reference, again.event), (reference, Name::from(event::REPLY)));
            assert_eq!(again.payload.as_json(), Some(&*answers::reply_payload(status, json)));
        }
        Outbound::Push { .. } | Outbound::Broadcast { .. } => {
            assert_eq!((again.reference, again.event), (Ref::NULL, inbound.event.clone()));
            assert_eq!(again.payload.as_json(), Some(json));
        }
        Outbound::End { join_ref, .. } => {
            assert_eq!((&again.reference, again.event), (join_ref, inbound.event.clone()));
            assert_eq!(again.payload.as_json(), Some(json));
        }
    }
}
