//! What nodes tell each other of addresses, so that each finds all: nodes connect to each other, and nothing is passed on.
//! Pure.
//!
//! A notice travels in the same [`Envelope`] as messages, so a later version may add to it, and what is garbage there is
//! garbage here.

use bennu_pubsub::{Envelope, NodeName, WireError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The kinds of notices. No message type of an application may be called so.
const KNOWN: &str = "bennu.node.known";
const BYE: &str = "bennu.node.bye";

/// What a node tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Nodes are there.
    Known(Vec<String>),
    /// The one that says it leaves.
    Bye(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct Body {
    addresses: Vec<String>,
}

/// Why a frame is no notice.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoticeError {
    #[error(transparent)]
    Envelope(#[from] WireError),
    #[error("{0:?} is no notice")]
    Kind(String),
    #[error(transparent)]
    Body(#[from] serde_json::Error),
}

impl Notice {
    /// The bytes that travel.
    pub(crate) fn encode(&self, from: &NodeName) -> Result<Bytes, NoticeError> {
        let (kind, addresses) = match self {
            Notice::Known(addresses) => (KNOWN, addresses),
            Notice::Bye(addresses) => (BYE, addresses),
        };
        let json = serde_json::to_vec(&Body { addresses: addresses.clone() })?.into();
        Ok(Envelope { from: from.as_str(), to: None, topic: "", kind, json }.encode()?)
    }

    /// Reads what [`Notice::encode`] wrote, here or in a later version.
    pub(crate) fn decode(frame: &Bytes) -> Result<Notice, NoticeError> {
        let envelope = Envelope::decode(frame)?;
        let notice = match envelope.kind {
            KNOWN => Notice::Known,
            BYE => Notice::Bye,
            other => return Err(NoticeError::Kind(other.to_owned())),
        };
        Ok(notice(serde_json::from_slice::<Body>(&envelope.json)?.addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written_and_with_whatever_a_later_version_adds() {
        let node = NodeName::new("a");
        for notice in [Notice::Known(vec!["a:1".into(), "b:2".into()]), Notice::Bye(vec![])] {
            assert_eq!(Notice::decode(&notice.encode(&node).unwrap()).unwrap(), notice);
        }
        let decode = |kind, json: &'static str| {
            let json = Bytes::from_static(json.as_bytes());
            Notice::decode(&Envelope { from: "a", to: None, topic: "", kind, json }.encode().unwrap())
        };
        assert_eq!(decode(BYE, r#"{"addresses":[],"zone":"b"}"#).unwrap(), Notice::Bye(vec![]));
        assert!(matches!(decode(BYE, "{}"), Err(NoticeError::Body(_))));
        assert!(matches!(decode("shop.sold", "{}"), Err(NoticeError::Kind(_))));
        assert!(matches!(Notice::decode(&Bytes::new()), Err(NoticeError::Envelope(_))));
    }
}
