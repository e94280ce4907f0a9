//! A data message that has not come whole: what of it is here (RFC 6455 §5.4).
//!
//! The decoder opens one when a message is fragmented or cut by a read, and takes it apart when the
//! last byte has come. Invariant: memory follows what arrived, never what a header announced.

use std::borrow::Cow;

use crate::utf8::Utf8Buffer;
use crate::{Event, Opcode, ProtocolError};

/// The least slack of a buffer that grows, in bytes. Small, because every connection of a peer that
/// drips single bytes costs this much.
const MIN_SLACK: usize = 512;

/// The unmasked payload so far.
#[derive(Debug)]
pub(crate) enum Message {
    /// Text, checked as it comes.
    Text(Utf8Buffer),
    Binary(Vec<u8>),
    /// The deflate stream of a message, inflated when it is whole: an inflater would cost more memory
    /// while the rest is waited for than the stream does.
    Deflated {
        kind: DataKind,
        stream: Vec<u8>,
    },
}

/// What a data message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    Text,
    Binary,
}

impl DataKind {
    /// The kind that a first data frame announces; `None` for every other frame.
    pub(crate) fn of(opcode: Opcode) -> Option<Self> {
        match opcode {
            Opcode::Text => Some(DataKind::Text),
            Opcode::Binary => Some(DataKind::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        }
    }

    /// The event of a whole payload.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] when text is none.
    pub(crate) fn event(self, payload: Cow<'_, [u8]>) -> Result<Event<'_>, ProtocolError> {
        let text = match self {
            DataKind::Binary => return Ok(Event::Binary(payload)),
            DataKind::Text => match payload {
                Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
                Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| error.utf8_error()),
            },
        };
        text.map(Event::Text).map_err(|error| ProtocolError::InvalidUtf8 { index: error.valid_up_to() })
    }
}

impl Message {
    pub(crate) fn new(kind: DataKind, deflated: bool) -> Self {
        match kind {
            kind if deflated => Message::Deflated { kind, stream: Vec::new() },
            DataKind::Text => Message::Text(Utf8Buffer::default()),
            DataKind::Binary => Message::Binary(Vec::new()),
        }
    }

    /// Takes the next payload bytes. `due` says how many more the message will have, where that is
    /// known.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] at the first byte that cannot continue valid text.
    pub(crate) fn push(&mut self, bytes: &[u8], due: Option<usize>) -> Result<(), ProtocolError> {
        let additional = growth(self.len(), self.capacity(), bytes.len(), due);
        match self {
            Message::Text(text) => {
                text.reserve_exact(additional);
                text.push(bytes)?;
            }
            Message::Binary(buffer) | Message::Deflated { stream: buffer, .. } => {
                buffer.reserve_exact(additional);
                buffer.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// How many payload bytes have come.
    pub(crate) fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(buffer) | Message::Deflated { stream: buffer, .. } => buffer.len(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        match self {
            Message::Text(text) => text.capacity(),
            Message::Binary(buffer) | Message::Deflated { stream: buffer, .. } => buffer.capacity(),
        }
    }
}

/// How much to reserve for `incoming` bytes: nothing while there is room, else them and a quarter of
/// what is here. A quarter keeps the copying linear, and the waste below what a doubling vector costs.
fn growth(len: usize, capacity: usize, incoming: usize, due: Option<usize>) -> usize {
    // A begun character counts as arrived, but takes no capacity yet.
    if capacity.saturating_sub(len) >= incoming {
        return 0;
    }
    let slack = (len / 4).max(MIN_SLACK);
    incoming + due.map_or(slack, |due| slack.min(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_follows_what_arrived_and_not_what_was_announced() {
        let mut message = Message::new(DataKind::Binary, false);
        for arrived in 1..=20_000 {
            message.push(b"x", Some(10_000_000)).expect("binary");
            assert!(message.capacity() <= arrived + arrived / 4 + MIN_SLACK);
        }
    }

    #[test]
    fn a_buffer_whose_end_is_known_does_not_grow_past_it() {
        let mut message = Message::new(DataKind::Binary, false);
        message.push(&[0; 900], Some(100)).expect("binary");
        message.push(&[0; 100], Some(0)).expect("binary");
        assert_eq!(message.capacity(), 1000);
    }
    #[test]
    fn a_begun_character_is_counted_where_room_is_made() {
        for character in ["é", "€", "😀"] {
            let text = character.repeat(700);
            let mut message = Message::new(DataKind::Text, false);
            for (index, byte) in text.bytes().enumerate() {
                message.push(&[byte], Some(text.len() - index - 1)).expect("text");
            }
            assert_eq!(message.capacity(), text.len(), "{character}");
        }
    }
}
