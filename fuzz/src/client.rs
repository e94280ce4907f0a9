//! What a client reads of a server, fed with any bytes, as text and as a binary frame.
//!
//! What decodes must say the same when a server writes it and a client reads it again.

use bennu_protocol::client::{Received, decode};
use bennu_protocol::{Frame, FrameKind, Name, Outbound, Serializer};

/// Reads the bytes as a message of a server, and panics when one of the reader's promises is broken.
pub fn client(data: &[u8]) {
    if let Ok(received) = decode(Frame::Binary(data)) {
        assert_survives(&received);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(received) = decode(Frame::Text(text))
    {
        assert_survives(&received);
    }
}

fn assert_survives(received: &Received) {
    let mut frame = Vec::new();
    let written = match received {
        Received::Reply { join_ref, reference, topic, status, payload } => {
            let topic = Name::from(topic.as_str());
            let reply = Outbound::Reply { join_ref, reference, topic: &topic, status, payload };
            Serializer::V2.encode(&reply, &mut frame)
        }
        Received::Event { join_ref, topic, event, payload } => {
            Serializer::V2.encode(&Outbound::Push { join_ref, topic, event, payload }, &mut frame)
        }
    };
    // Names that JSON can hold may be too long for a binary frame, and refs of a binary frame may be no JSON.
    let Ok(kind) = written else { return };
    let again = match kind {
        FrameKind::Text => decode(Frame::Text(std::str::from_utf8(&frame).expect("text is UTF-8"))),
        FrameKind::Binary => decode(Frame::Binary(&frame)),
    };
    match (again.expect("what was written can be read"), received) {
        // Binary frames have no null.
        (Received::Reply { topic, status, payload, .. }, Received::Reply { topic: t, status: s, payload: p, .. }) => {
            assert_eq!((&topic, &status, &payload), (t, s, p));
        }
        (Received::Event { topic, event, payload, .. }, Received::Event { topic: t, event: e, payload: p, .. }) => {
            assert_eq!((&topic, &event, &payload), (t, e, p));
        }
        (again, _) => panic!("{again:?} was {received:?}"),
    }
}
