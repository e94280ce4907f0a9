//! What nodes say to each other about themselves: that they are new, that they are there, that they go. Pure.
//!
//! The words travel in the same [`Envelope`] as messages, so a later version may add to them, and what is garbage there
//! is garbage here.

use bennu_pubsub::{Envelope, Header, NodeName, WireError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The kinds of the words. No message type of an application may be called so.
const HELLO: &str = "bennu.node.hello";
const HERE: &str = "bennu.node.here";
const BYE: &str = "bennu.node.bye";

/// What a node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is new on this connection: whoever hears it says [`Word::Here`] to it.
    Hello,
    /// It is there.
    Here,
    /// It goes.
    Bye,
}

#[derive(Serialize, Deserialize)]
struct Body {
    incarnation: u64,
}

impl Word {
    /// The bytes that travel, to one node or to all.
    pub(crate) fn encode(self, from: &NodeName, incarnation: u64, to: Option<&str>) -> Result<Bytes, WireError> {
        let kind = match self {
            Word::Hello => HELLO,
            Word::Here => HERE,
            Word::Bye => BYE,
        };
        let json = format!("{{\"incarnation\":{incarnation}}}");
        Envelope { header: Header { from: from.as_str(), to, topic: "", kind }, json: json.as_bytes() }.encode()
    }

    /// The word, and the incarnation of the node that says it. `None` when the envelope holds something else.
    pub(crate) fn read(envelope: &Envelope<'_>) -> Option<Result<(Word, u64), serde_json::Error>> {
        let word = match envelope.header.kind {
            HELLO => Word::Hello,
            HERE => Word::Here,
            BYE => Word::Bye,
            _ => return None,
        };
        let body = serde_json::from_slice::<Body>(envelope.json);
        Some(body.map(|body| (word, body.incarnation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_said_and_with_whatever_a_later_version_adds() {
        let node = NodeName::new("a");
        for word in [Word::Hello, Word::Here, Word::Bye] {
            let frame = word.encode(&node, u64::MAX, Some("b")).unwrap();
            let envelope = Envelope::decode(&frame).unwrap();
            assert_eq!(Word::read(&envelope).unwrap().unwrap(), (word, u64::MAX));
            assert!(envelope.header.is_for(&NodeName::new("b")) && !envelope.header.is_for(&NodeName::new("c")));
        }
        let read = |kind, json: &'static str| {
            let header = Header { from: "a", to: None, topic: "", kind };
            Word::read(&Envelope { header, json: json.as_bytes() })
        };
        assert_eq!(read(HERE, r#"{"incarnation":7,"zone":"b"}"#).unwrap().unwrap(), (Word::Here, 7));
        assert!(read(HERE, "{}").unwrap().is_err());
        assert!(read("shop.sold", "{}").is_none());
    }
}
