//! What nodes tell each other: addresses, so that each finds all, since nodes connect to each other and nothing is passed on;
//! and marks, so that each knows what the others have [taken](crate::credit). Pure.
//!
//! A notice travels in the same [`Envelope`] as messages, so a later version may add to it, and what is garbage there is
//! garbage here.

use bennu_pubsub::{Envelope, Header, NodeName, WireError};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The kinds of notices. No message type of an application may be called so.
const KNOWN: &str = "bennu.node.known";
const BYE: &str = "bennu.node.bye";
const MARK: &str = "bennu.node.mark";
const SEEN: &str = "bennu.node.seen";

/// What a node tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Nodes are there.
    Known(Vec<String>),
    /// The one that says it leaves.
    Bye(Vec<String>),
    /// Whoever reads this has taken what was put before it.
    Mark(Mark),
    /// A session has read a mark; told to the node whose it is.
    Seen {
        /// The one that has read it.
        by: String,
        mark: Mark,
    },
}

/// A place in what a session puts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Whose it is.
    pub(crate) session: String,
    /// Bytes before it.
    pub(crate) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Addresses {
    addresses: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    by: String,
    #[serde(flatten)]
    mark: Mark,
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
    /// The bytes that travel, to one node or to all.
    pub(crate) fn encode(&self, from: &NodeName, to: Option<&str>) -> Result<Bytes, NoticeError> {
        let addresses = |addresses: &[String]| serde_json::to_vec(&Addresses { addresses: addresses.to_vec() });
        let (kind, json) = match self {
            Notice::Known(known) => (KNOWN, addresses(known)?),
            Notice::Bye(own) => (BYE, addresses(own)?),
            Notice::Mark(mark) => (MARK, serde_json::to_vec(mark)?),
            Notice::Seen { by, mark } => (SEEN, serde_json::to_vec(&Seen { by: by.clone(), mark: mark.clone() })?),
        };
        Ok(Envelope { header: Header { from: from.as_str(), to, topic: "", kind }, json: &json }.encode()?)
    }

    /// Reads what [`Notice::encode`] wrote, here or in a later version, and the name of the node that says it.
    pub(crate) fn decode(frame: &[u8]) -> Result<(&str, Notice), NoticeError> {
        let Envelope { header, json } = Envelope::decode(frame)?;
        let notice = match header.kind {
            KNOWN => Notice::Known(read::<Addresses>(json)?.addresses),
            BYE => Notice::Bye(read::<Addresses>(json)?.addresses),
            MARK => Notice::Mark(read(json)?),
            SEEN => {
                let Seen { by, mark } = read(json)?;
                Notice::Seen { by, mark }
            }
            other => return Err(NoticeError::Kind(other.to_owned())),
        };
        Ok((header.from, notice))
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written_and_with_whatever_a_later_version_adds() {
        let node = NodeName::new("a");
        let mark = Mark { session: "1f".into(), bytes: u64::MAX };
        let notices = [
            Notice::Known(vec!["a:1".into(), "b:2".into()]),
            Notice::Bye(vec![]),
            Notice::Mark(mark.clone()),
            Notice::Seen { by: "2e".into(), mark },
        ];
        for notice in notices {
            let frame = notice.encode(&node, Some("b")).unwrap();
            assert_eq!(Notice::decode(&frame).unwrap(), ("a", notice));
        }
        let decode = |kind, json: &'static str| {
            let header = Header { from: "a", to: None, topic: "", kind };
            let frame = Envelope { header, json: json.as_bytes() }.encode().unwrap();
            Notice::decode(&frame).map(|(_, notice)| notice)
        };
        assert_eq!(decode(BYE, r#"{"addresses":[],"zone":"b"}"#).unwrap(), Notice::Bye(vec![]));
        assert!(matches!(decode(BYE, "{}"), Err(NoticeError::Body(_))));
        assert!(matches!(decode("shop.sold", "{}"), Err(NoticeError::Kind(_))));
        assert!(matches!(Notice::decode(&[]), Err(NoticeError::Envelope(_))));
    }
}
