//! The control messages of nodes at a broker: hello, heartbeat and goodbye. Pure.
//!
//! [`crate::session`] sends them and [`crate::shared`] receives them. They travel in the same [`Envelope`] as messages,
//! so a later version may add fields, and malformed ones are counted in the same way.

use bennu_pubsub::{Envelope, Header, NodeName, WireError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The kinds of control messages. An application must not use them as a [`bennu_pubsub::Message::KIND`].
const HELLO: &str = "bennu.node.hello";
const HEARTBEAT: &str = "bennu.node.here";
const GOODBYE: &str = "bennu.node.bye";

/// A control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlMessage {
    /// The node is new on this connection. Each receiver replies with a [`ControlMessage::Heartbeat`].
    Hello,
    /// The node is in the cluster.
    Heartbeat,
    /// The node leaves the cluster.
    Goodbye,
}

#[derive(Serialize, Deserialize)]
struct Body {
    incarnation: u64,
}

impl ControlMessage {
    /// Encodes the message for one node or for all.
    pub(crate) fn encode(self, from: &NodeName, incarnation: u64, to: Option<&str>) -> Result<Bytes, WireError> {
        let kind = match self {
            ControlMessage::Hello => HELLO,
            ControlMessage::Heartbeat => HEARTBEAT,
            ControlMessage::Goodbye => GOODBYE,
        };
        let json = format!("{{\"incarnation\":{incarnation}}}");
        Envelope { header: Header { from: from.as_str(), to, topic: "", kind }, json: json.as_bytes() }.encode()
    }

    /// Decodes a control message with the incarnation of its sender. `None` when the envelope has another kind.
    pub(crate) fn decode(envelope: &Envelope<'_>) -> Option<Result<(ControlMessage, u64), serde_json::Error>> {
        let message = match envelope.header.kind {
            HELLO => ControlMessage::Hello,
            HEARTBEAT => ControlMessage::Heartbeat,
            GOODBYE => ControlMessage::Goodbye,
            _ => return None,
        };
        let body = serde_json::from_slice::<Body>(envelope.json);
        Some(body.map(|body| (message, body.incarnation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_message_is_decoded_as_it_was_encoded_and_with_fields_of_a_later_version() {
        let node = NodeName::new("a");
        for message in [ControlMessage::Hello, ControlMessage::Heartbeat, ControlMessage::Goodbye] {
            let frame = message.encode(&node, u64::MAX, Some("b")).unwrap();
            let envelope = Envelope::decode(&frame).unwrap();
            assert_eq!(ControlMessage::decode(&envelope).unwrap().unwrap(), (message, u64::MAX));
            assert!(envelope.header.is_for(&NodeName::new("b")) && !envelope.header.is_for(&NodeName::new("c")));
        }
        let read = |kind, json: &'static str| {
            let header = Header { from: "a", to: None, topic: "", kind };
            ControlMessage::decode(&Envelope { header, json: json.as_bytes() })
        };
        assert_eq!(
            read(HEARTBEAT, r#"{"incarnation":7,"zone":"b"}"#).unwrap().unwrap(),
            (ControlMessage::Heartbeat, 7)
        );
        assert!(read(HEARTBEAT, "{}").unwrap().is_err());
        assert!(read("shop.sold", "{}").is_none());
    }
}
