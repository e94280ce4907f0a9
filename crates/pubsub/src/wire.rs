//! The frame of a message between nodes, the same for all engines. Adapters write it, and [`crate::FrameReceiver::receive`]
//! reads it.
//!
//! | bytes | |
//! |---|---|
//! | 1 | version, 1 |
//! | 2 | length of the header, big-endian |
//! | header | fields: a tag of one byte, a length of two, the bytes |
//! | rest | the message's JSON |
//!
//! The fields are: 1 the sending node, 2 the topic, 3 the message's kind, 4 the target node, if there is only one. A
//! reader skips fields with other tags. So a later version may add fields that this version ignores, and a rolling
//! upgrade works. The version number changes only if that does not suffice; each node then writes the old version until
//! all nodes have been upgraded.
//!
//! Invariant: no bytes from an engine panic. Bytes that are not a frame return an error with the cause.

use crate::NodeName;
use bytes::Bytes;

const VERSION: u8 = 1;
const FROM: u8 = 1;
const TOPIC: u8 = 2;
const KIND: u8 = 3;
const TO: u8 = 4;

/// The bytes of the version and of the header's length.
const PREFIX: usize = 3;

/// The sender, the target, the topic and the kind of a message between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The node that published it.
    pub from: &'a str,
    /// The target node; `None` for all nodes.
    pub to: Option<&'a str>,
    /// The topic.
    pub topic: &'a str,
    /// The message's [`crate::Message::KIND`].
    pub kind: &'a str,
}

/// One message between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender, the target, the topic and the kind.
    pub header: Header<'a>,
    /// The message's JSON.
    pub json: &'a [u8],
}

/// Bytes that are not a message between nodes, or a message that cannot be encoded as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A version that this program cannot read.
    #[error("could not read version {0} of the messages between nodes; this program reads version {VERSION}")]
    Version(u8),
    /// The bytes end early.
    #[error("the {len} bytes end inside the {part}")]
    Truncated {
        /// The part in which they end.
        part: &'static str,
        /// The number of bytes.
        len: usize,
    },
    /// A required field is missing.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// A field is not UTF-8.
    #[error("the {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// The names are too long together.
    #[error("topic, kind and nodes have {bytes} bytes together, the limit is {limit}", limit = u16::MAX)]
    TooLong {
        /// The bytes of the names.
        bytes: usize,
    },
}

impl Header<'_> {
    /// Encodes the bytes before the JSON, with capacity for `len` bytes of JSON.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub fn encode(&self, len: usize) -> Result<Vec<u8>, WireError> {
        let Header { from, to, topic, kind } = *self;
        let texts = from.len() + topic.len() + kind.len() + to.map_or(0, str::len);
        let header = texts + PREFIX * if to.is_some() { 4 } else { 3 };
        let length = u16::try_from(header).map_err(|_| WireError::TooLong { bytes: header })?;
        let mut frame = Vec::with_capacity(PREFIX + header + len);
        frame.push(VERSION);
        frame.extend_from_slice(&length.to_be_bytes());
        let mut field = |tag, text: &str| {
            // The field is shorter than the header, whose length fits.
            let [high, low] = (text.len() as u16).to_be_bytes();
            frame.extend_from_slice(&[tag, high, low]);
            frame.extend_from_slice(text.as_bytes());
        };
        field(FROM, from);
        field(TOPIC, topic);
        field(KIND, kind);
        if let Some(to) = to {
            field(TO, to);
        }
        Ok(frame)
    }

    /// Returns whether a node is a target: all nodes are except the sender, or only the named one is.
    pub fn is_for(&self, node: &NodeName) -> bool {
        self.from != node.as_str() && self.to.is_none_or(|to| to == node.as_str())
    }
}

impl Envelope<'_> {
    /// Encodes the frame.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let mut frame = self.header.encode(self.json.len())?;
        frame.extend_from_slice(self.json);
        Ok(frame.into())
    }
}

impl<'a> Envelope<'a> {
    /// Decodes a frame that [`Envelope::encode`] of this or of a later version wrote.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(frame: &'a [u8]) -> Result<Self, WireError> {
        let truncated = |part| WireError::Truncated { part, len: frame.len() };
        match frame.first() {
            None => return Err(truncated("version")),
            Some(&VERSION) => {}
            Some(&other) => return Err(WireError::Version(other)),
        }
        let length = frame.get(1..PREFIX).and_then(<[u8]>::first_chunk).ok_or_else(|| truncated("header's length"))?;
        let end = PREFIX + usize::from(u16::from_be_bytes(*length));
        let mut header = frame.get(PREFIX..end).ok_or_else(|| truncated("header"))?;
        let (mut from, mut to, mut topic, mut kind) = (None, None, None, None);
        while let [tag, high, low, rest @ ..] = header {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (text, rest) = rest.split_at_checked(length).ok_or_else(|| truncated("header's field"))?;
            let (field, name) = match *tag {
                FROM => (&mut from, "node"),
                TO => (&mut to, "node it is for"),
                TOPIC => (&mut topic, "topic"),
                KIND => (&mut kind, "kind"),
                _ => {
                    header = rest;
                    continue;
                }
            };
            *field = Some(std::str::from_utf8(text).map_err(|_| WireError::NotUtf8(name))?);
            header = rest;
        }
        if !header.is_empty() {
            return Err(truncated("header's field"));
        }
        let header = Header {
            from: from.ok_or(WireError::Missing("node"))?,
            to,
            topic: topic.ok_or(WireError::Missing("topic"))?,
            kind: kind.ok_or(WireError::Missing("kind"))?,
        };
        Ok(Envelope { header, json: &frame[end..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope<'a>(to: Option<&'a str>, topic: &'a str) -> Envelope<'a> {
        Envelope { header: Header { from: "a@host", to, topic, kind: "note" }, json: b"{\"n\":1}" }
    }

    proptest! {
        #[test]
        fn a_decoded_frame_is_the_encoded_one(
            from in ".{0,20}", to in prop::option::of(".{0,20}"), topic in ".{0,40}", kind in ".{0,20}",
            json in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let header = Header { from: &from, to: to.as_deref(), topic: &topic, kind: &kind };
            let sent = Envelope { header, json: &json };
            let frame = sent.encode().unwrap();
            prop_assert_eq!(Envelope::decode(&frame).unwrap(), sent);
        }

        #[test]
        fn bytes_of_an_engine_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0..60usize) {
            let _ = Envelope::decode(&bytes);
            let frame = envelope(Some("b@host"), "t").encode().unwrap();
            let _ = Envelope::decode(&frame[..cut.min(frame.len())]);
        }
    }

    #[test]
    fn the_bytes_of_a_frame_stay_the_same_in_later_versions() {
        let frame = envelope(Some("b"), "t").encode().unwrap();
        let header = b"\x01\0\x06a@host\x02\0\x01t\x03\0\x04note\x04\0\x01b";
        let expected = [&[1, 0, header.len() as u8][..], header, b"{\"n\":1}"].concat();
        assert_eq!(frame, expected);
    }

    #[test]
    fn fields_of_a_later_version_are_skipped_in_any_position() {
        let header = b"\xF0\0\x03new\x01\0\x01a\x02\0\x01t\xF1\0\0\x03\0\x01k";
        let frame = [&[1, 0, header.len() as u8][..], header, b"7"].concat();
        let read = Envelope::decode(&frame).unwrap();
        assert_eq!(read, Envelope { header: Header { from: "a", to: None, topic: "t", kind: "k" }, json: b"7" });
    }

    #[test]
    fn bytes_that_are_not_a_message_return_an_error_with_the_cause() {
        let error = |bytes: &[u8]| Envelope::decode(bytes).unwrap_err().to_string();
        assert_eq!(error(b""), "the 0 bytes end inside the version");
        assert_eq!(
            error(b"\x02"),
            "could not read version 2 of the messages between nodes; this program reads version 1"
        );
        assert_eq!(error(b"\x01\0"), "the 2 bytes end inside the header's length");
        assert_eq!(error(b"\x01\0\x09\x01"), "the 4 bytes end inside the header");
        assert_eq!(error(b"\x01\0\x04\x01\0\x09a"), "the 7 bytes end inside the header's field");
        assert_eq!(error(b"\x01\0\x02\x01\0"), "the 5 bytes end inside the header's field");
        assert_eq!(error(b"\x01\0\x04\x01\0\x01a"), "the topic is missing");
        assert_eq!(error(b"\x01\0\x04\x02\0\x01\xFF"), "the topic is not UTF-8");
        let long = "x".repeat(70_000);
        let error = envelope(None, &long).encode().unwrap_err().to_string();
        assert_eq!(error, "topic, kind and nodes have 70019 bytes together, the limit is 65535");
    }

    #[test]
    fn a_message_is_for_all_other_nodes_or_for_one() {
        let (a, b, c) = (NodeName::new("a@host"), NodeName::new("b@host"), NodeName::new("c@host"));
        let for_all = envelope(None, "t");
        assert_eq!([&a, &b, &c].map(|node| for_all.header.is_for(node)), [false, true, true]);
        let for_b = envelope(Some("b@host"), "t");
        assert_eq!([&a, &b, &c].map(|node| for_b.header.is_for(node)), [false, true, false]);
    }
}
