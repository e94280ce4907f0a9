//! A message as it waits in the queue: its channel, then its frame. Pure.
//!
//! | bytes | |
//! |---|---|
//! | 1 | 0 for a topic, 1 for a node |
//! | 2 | length of its name, big-endian |
//! | name | |
//! | rest | the frame |

use bennu_pubsub_cluster::Channel;

/// The kind of channel, and the length of its name.
const PREFIX: usize = 3;

/// Appends an entry.
pub(crate) fn write(out: &mut Vec<u8>, channel: Channel<'_>, frame: &[u8]) {
    let (kind, name) = match channel {
        Channel::Topic(topic) => (0, topic),
        Channel::Node(node) => (1, node),
        Channel::Control => unreachable!("applications publish on topics and to nodes"),
    };
    let length = u16::try_from(name.len()).expect("a name is shorter than the frame's header, whose length is a u16");
    out.reserve(PREFIX + name.len() + frame.len());
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(frame);
}

/// The bytes that name the channel, and the frame.
pub(crate) fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    entry.split_at(PREFIX + usize::from(u16::from_be_bytes([entry[1], entry[2]])))
}

/// The channel of the bytes that name it.
pub(crate) fn channel(named: &[u8]) -> Channel<'_> {
    let name = std::str::from_utf8(&named[PREFIX..]).expect("it was a text when it was written");
    if named[0] == 0 { Channel::Topic(name) } else { Channel::Node(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(name in ".{0,50}", node: bool, frame in prop::collection::vec(any::<u8>(), 0..50)) {
            let written = if node { Channel::Node(&name) } else { Channel::Topic(&name) };
            let mut entry = Vec::new();
            write(&mut entry, written, &frame);
            let (named, rest) = split(&entry);
            prop_assert_eq!((channel(named), rest), (written, &frame[..]));
        }
    }
}
