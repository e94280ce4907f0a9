//! The client's decoder, with any bytes as a text frame and as a binary frame.
//!
//! The target encodes each decoded message as the server does, decodes it again, and compares the two.

use bennu_protocol::client::{Received, decode};
use bennu_protocol::{Frame, FrameKind, Name, Outbound, Serializer};

/// Decodes the bytes as a message of a server, and panics when an invariant of the decoder is violated.
pub fn client(data: &[u8]) {
    if let Ok(received) = decode(Frame::Binary(data)) {
        assert_unchanged_by_encoding(&received);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(received) = decode(Frame::Text(text))
    {
        assert_unchanged_by_encoding(&received);
    }
}

fn assert_unchanged_by_encoding(received: &Received) {
    let mut frame = Vec::new();
    let encoded = match received {
        Received::Reply { join_ref, reference, topic, status, payload } => {
            let topic = Name::from(topic.as_str());
            let reply = Outbound::Reply { join_ref, reference, topic: &topic, status, payload };
            Serializer::V2.encode(&reply, &mut frame)
        }
        Received::Event { join_ref, topic, event, payload } => {
            Serializer::V2.encode(&Outbound::Push { join_ref, topic, event, payload }, &mut frame)
        }
    };
    // A name in JSON can be too long for a binary frame, and JSON cannot carry every ref of a binary frame.
    let Ok(kind) = encoded else { return };
    let again = match kind {
        FrameKind::Text => decode(Frame::Text(std::str::from_utf8(&frame).expect("text is UTF-8"))),
        FrameKind::Binary => decode(Frame::Binary(&frame)),
    };
    match (again.expect("an encoded message can be decoded"), received) {
        // The refs are not compared, because a binary frame has no null.
        (Received::Reply { topic, status, payload, .. }, Received::Reply { topic: t, status: s, payload: p, .. }) => {
            assert_eq!((&topic, &status, &payload), (t, s, p));
        }
        (Received::Event { topic, event, payload, .. }, Received::Event { topic: t, event: e, payload: p, .. }) => {
            assert_eq!((&topic, &event, &payload), (t, e, p));
        }
        (again, _) => panic!("{again:?} was {received:?}"),
    }
}
