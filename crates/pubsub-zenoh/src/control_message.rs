//! The control messages between nodes: gossip of addresses, goodbyes, and the markers and acknowledgements of the
//! [window](crate::window). Pure.
//!
//! Nodes connect to each other and forward nothing, so each node needs the addresses of all. [`crate::session`] and
//! [`crate::worker`] send control messages, and [`crate::shared`] handles them. They travel in the same [`Envelope`] as
//! messages, so a later version may add fields, and malformed ones are counted in the same way.

use bennu_pubsub::{Envelope, Header, NodeName, WireError};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The kinds of control messages. An application must not use them as a [`bennu_pubsub::Message::KIND`].
const ADDRESSES: &str = "bennu.node.known";
const GOODBYE: &str = "bennu.node.bye";
const MARKER: &str = "bennu.node.mark";
const ACK: &str = "bennu.node.seen";

/// A control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ControlMessage {
    /// The addresses of nodes in the cluster.
    Addresses(Vec<String>),
    /// The addresses of the sender, which leaves.
    Goodbye(Vec<String>),
    /// Its receiver has received every message put before it.
    Marker(Marker),
    /// A session has received a marker; sent to the node of the marker.
    Ack {
        /// The session that received it.
        by: String,
        marker: Marker,
    },
}

/// A position in the bytes that a session puts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The session that sent it.
    pub(crate) session: String,
    /// The bytes put before it.
    pub(crate) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct AddressList {
    addresses: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct AckBody {
    by: String,
    #[serde(flatten)]
    marker: Marker,
}

/// The cause for which a frame is not a control message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Envelope(#[from] WireError),
    #[error("{0:?} is not a kind of control message")]
    Kind(String),
    #[error(transparent)]
    Body(#[from] serde_json::Error),
}

impl ControlMessage {
    /// Encodes the message for one node or for all.
    pub(crate) fn encode(&self, from: &NodeName, to: Option<&str>) -> Result<Bytes, ControlError> {
        let addresses = |addresses: &[String]| serde_json::to_vec(&AddressList { addresses: addresses.to_vec() });
        let (kind, json) = match self {
            ControlMessage::Addresses(known) => (ADDRESSES, addresses(known)?),
            ControlMessage::Goodbye(own) => (GOODBYE, addresses(own)?),
            ControlMessage::Marker(marker) => (MARKER, serde_json::to_vec(marker)?),
            ControlMessage::Ack { by, marker } => {
                (ACK, serde_json::to_vec(&AckBody { by: by.clone(), marker: marker.clone() })?)
            }
        };
        Ok(Envelope { header: Header { from: from.as_str(), to, topic: "", kind }, json: &json }.encode()?)
    }

    /// Decodes a message that [`ControlMessage::encode`] of this or of a later version wrote, and returns it with the
    /// name of its sender.
    pub(crate) fn decode(frame: &[u8]) -> Result<(&str, ControlMessage), ControlError> {
        let Envelope { header, json } = Envelope::decode(frame)?;
        let message = match header.kind {
            ADDRESSES => ControlMessage::Addresses(read::<AddressList>(json)?.addresses),
            GOODBYE => ControlMessage::Goodbye(read::<AddressList>(json)?.addresses),
            MARKER => ControlMessage::Marker(read(json)?),
            ACK => {
                let AckBody { by, marker } = read(json)?;
                ControlMessage::Ack { by, marker }
            }
            other => return Err(ControlError::Kind(other.to_owned())),
        };
        Ok((header.from, message))
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_message_is_decoded_as_it_was_encoded_and_with_fields_of_a_later_version() {
        let node = NodeName::new("a");
        let marker = Marker { session: "1f".into(), bytes: u64::MAX };
        let messages = [
            ControlMessage::Addresses(vec!["a:1".into(), "b:2".into()]),
            ControlMessage::Goodbye(vec![]),
            ControlMessage::Marker(marker.clone()),
            ControlMessage::Ack { by: "2e".into(), marker },
        ];
        for message in messages {
            let frame = message.encode(&node, Some("b")).unwrap();
            assert_eq!(ControlMessage::decode(&frame).unwrap(), ("a", message));
        }
        let decode = |kind, json: &'static str| {
            let header = Header { from: "a", to: None, topic: "", kind };
            let frame = Envelope { header, json: json.as_bytes() }.encode().unwrap();
            ControlMessage::decode(&frame).map(|(_, message)| message)
        };
        assert_eq!(decode(GOODBYE, r#"{"addresses":[],"zone":"b"}"#).unwrap(), ControlMessage::Goodbye(vec![]));
        assert!(matches!(decode(GOODBYE, "{}"), Err(ControlError::Body(_))));
        assert!(matches!(decode("shop.sold", "{}"), Err(ControlError::Kind(_))));
        assert!(matches!(ControlMessage::decode(&[]), Err(ControlError::Envelope(_))));
    }
}
