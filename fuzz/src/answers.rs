//! What a server may answer to a message, made from the message's own parts. Used by both serializers' targets.

use bennu_protocol::{EncodeError, FrameKind, Inbound, Outbound, Serializer, Status};

/// An answer and how it went.
pub(crate) struct Answer<'a> {
    pub(crate) message: Outbound<'a>,
    pub(crate) encoded: Result<(FrameKind, Vec<u8>), EncodeError>,
}

/// Every kind of answer; those that need a topic and an event in text only when the message has them.
pub(crate) fn each(serializer: Serializer, inbound: &Inbound<'_>, mut check: impl FnMut(Answer<'_>)) {
    let Inbound { join_ref, reference, topic, payload, .. } = inbound;
    let status = Status::Other(inbound.event.as_str().unwrap_or("ok").to_owned().into());
    let mut encode = |message| {
        let mut frame = Vec::new();
        let kind = serializer.encode(&message, &mut frame);
        check(Answer { message, encoded: kind.map(|kind| (kind, frame)) });
    };
    encode(Outbound::Reply { join_ref, reference, topic, status: &status, payload });
    if let (Some(topic), Some(event)) = (topic.as_str(), inbound.event.as_str()) {
        encode(Outbound::Push { join_ref, topic, event, payload });
        encode(Outbound::Broadcast { topic, event, payload });
        encode(Outbound::End { join_ref, topic, event, payload });
    }
}

/// The payload of a reply as it stands in a text frame.
pub(crate) fn reply_payload(status: &Status, response: &str) -> String {
    let status = bennu_protocol::Payload::json(status.as_str());
    format!(r#"{{"response":{response},"status":{}}}"#, status.as_json().expect("a string is JSON"))
}
