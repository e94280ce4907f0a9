//! A message in the send queue: its subject, then its frame. Pure.
//!
//! | bytes | |
//! |---|---|
//! | 1 | 0 for a topic, 1 for a node |
//! | 2 | length of its name, big-endian |
//! | name | |
//! | rest | the frame |
//!
//! [`crate::shared`] writes entries, and [`crate::writer`] reads them.

use bennu_pubsub_cluster::Subject;

/// The bytes of the kind and of the name's length.
const PREFIX: usize = 3;

/// Appends an entry.
pub(crate) fn write(out: &mut Vec<u8>, subject: Subject<'_>, frame: &[u8]) {
    let (kind, name) = match subject {
        Subject::Topic(topic) => (0, topic),
        Subject::Node(node) => (1, node),
        Subject::Control => unreachable!("applications publish on topics and to nodes only"),
    };
    let length = u16::try_from(name.len()).expect("a name is shorter than the frame's header, whose length is a u16");
    out.reserve(PREFIX + name.len() + frame.len());
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(frame);
}

/// Returns the encoded subject, and the frame.
pub(crate) fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    entry.split_at(PREFIX + usize::from(u16::from_be_bytes([entry[1], entry[2]])))
}

/// Decodes an encoded subject.
pub(crate) fn decode_subject(encoded: &[u8]) -> Subject<'_> {
    let name = std::str::from_utf8(&encoded[PREFIX..]).expect("the name was UTF-8 when the entry was written");
    if encoded[0] == 0 { Subject::Topic(name) } else { Subject::Node(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_decoded_entry_is_the_encoded_one(
            name in ".{0,50}", node: bool, frame in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let written = if node { Subject::Node(&name) } else { Subject::Topic(&name) };
            let mut entry = Vec::new();
            write(&mut entry, written, &frame);
            let (encoded, rest) = split(&entry);
            prop_assert_eq!((decode_subject(encoded), rest), (written, &frame[..]));
        }
    }
}
