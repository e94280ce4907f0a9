//! Messages: complete ones, which the decoder returns, and the incomplete data message of a connection (RFC 6455 §5.4).
//!
//! The decoder opens a [`PartialMessage`] when a message is fragmented or divided between reads, and converts it into
//! an [`Incoming`] when its last byte has arrived. Invariant: memory is proportional to the bytes received, not to the
//! length that a header announces.

use std::borrow::Cow;

use crate::utf8::Utf8Buffer;
use crate::{CloseFrame, Opcode, ProtocolError};

/// The minimal slack of a growing buffer, in bytes. It is small, because every connection of a peer that sends single
/// bytes costs this much.
const MIN_SLACK: usize = 512;

/// One complete message, or one control frame, of a peer.
///
/// `'b` is the lifetime of the decoder's input. A message that lies completely in the input is borrowed. A message that
/// was fragmented, compressed or divided between reads is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'b> {
    /// A text message.
    Text(Cow<'b, str>),
    /// A binary message.
    Binary(Cow<'b, [u8]>),
    /// A ping of at most 125 bytes. The peer expects a pong with the same payload (RFC 6455 §5.5.2).
    Ping(Cow<'b, [u8]>),
    /// A pong of at most 125 bytes, solicited or not.
    Pong(Cow<'b, [u8]>),
    /// A close frame. Nothing after it is decoded (RFC 6455 §5.5.1).
    Close(CloseFrame),
}

impl Incoming<'_> {
    /// Converts the message into one that does not borrow from the input. Copies borrowed data only.
    pub fn into_owned(self) -> Incoming<'static> {
        match self {
            Incoming::Text(text) => Incoming::Text(Cow::Owned(text.into_owned())),
            Incoming::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes.into_owned())),
            Incoming::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into_owned())),
            Incoming::Pong(payload) => Incoming::Pong(Cow::Owned(payload.into_owned())),
            Incoming::Close(close) => Incoming::Close(close),
        }
    }
}

/// The unmasked payload of an incomplete message.
#[derive(Debug)]
pub(crate) enum PartialMessage {
    /// Text, validated as it arrives.
    Text(Utf8Buffer),
    Binary(Vec<u8>),
    /// The deflate stream of a message. It is inflated when it is complete, because an inflater would use more memory
    /// than the stream in the meantime.
    Deflated {
        kind: DataKind,
        stream: Vec<u8>,
    },
}

/// The type of a data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    Text,
    Binary,
}

impl DataKind {
    /// Returns the type that the first frame of a message announces; `None` for every other frame.
    pub(crate) fn of(opcode: Opcode) -> Option<Self> {
        match opcode {
            Opcode::Text => Some(DataKind::Text),
            Opcode::Binary => Some(DataKind::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        }
    }

    /// Converts a complete payload into a message.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::InvalidUtf8`] for a text that is not UTF-8.
    pub(crate) fn message(self, payload: Cow<'_, [u8]>) -> Result<Incoming<'_>, ProtocolError> {
        let text = match self {
            DataKind::Binary => return Ok(Incoming::Binary(payload)),
            DataKind::Text => match payload {
                Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
                Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| error.utf8_error()),
            },
        };
        text.map(Incoming::Text).map_err(|error| ProtocolError::InvalidUtf8 { index: error.valid_up_to() })
    }
}

impl PartialMessage {
    pub(crate) fn new(kind: DataKind, deflated: bool) -> Self {
        match kind {
            kind if deflated => PartialMessage::Deflated { kind, stream: Vec::new() },
            DataKind::Text => PartialMessage::Text(Utf8Buffer::default()),
            DataKind::Binary => PartialMessage::Binary(Vec::new()),
        }
    }

    /// Appends the next payload bytes. `due` is the number of bytes that the message has after them, if it is known.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::InvalidUtf8`] at the first byte that cannot continue valid text.
    pub(crate) fn push(&mut self, bytes: &[u8], due: Option<usize>) -> Result<(), ProtocolError> {
        let additional = growth(self.len(), self.capacity(), bytes.len(), due);
        match self {
            PartialMessage::Text(text) => {
                text.reserve_exact(additional);
                text.push(bytes)?;
            }
            PartialMessage::Binary(buffer) | PartialMessage::Deflated { stream: buffer, .. } => {
                buffer.reserve_exact(additional);
                buffer.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// The number of payload bytes received.
    pub(crate) fn len(&self) -> usize {
        match self {
            PartialMessage::Text(text) => text.len(),
            PartialMessage::Binary(buffer) | PartialMessage::Deflated { stream: buffer, .. } => buffer.len(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        match self {
            PartialMessage::Text(text) => text.capacity(),
            PartialMessage::Binary(buffer) | PartialMessage::Deflated { stream: buffer, .. } => buffer.capacity(),
        }
    }
}

/// Returns the number of bytes to reserve for `incoming` bytes: none while there is room, else `incoming` and a quarter
/// of `len`. The quarter keeps the copying linear, and wastes less memory than a vector that doubles.
fn growth(len: usize, capacity: usize, incoming: usize, due: Option<usize>) -> usize {
    // `len` includes an incomplete character, which uses no capacity yet.
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
    fn a_buffer_grows_with_the_bytes_received_and_not_with_the_length_announced() {
        let mut message = PartialMessage::new(DataKind::Binary, false);
        for arrived in 1..=20_000 {
            message.push(b"x", Some(10_000_000)).expect("binary");
            assert!(message.capacity() <= arrived + arrived / 4 + MIN_SLACK);
        }
    }

    #[test]
    fn a_buffer_of_known_length_does_not_grow_past_it() {
        let mut message = PartialMessage::new(DataKind::Binary, false);
        message.push(&[0; 900], Some(100)).expect("binary");
        message.push(&[0; 100], Some(0)).expect("binary");
        assert_eq!(message.capacity(), 1000);
    }

    #[test]
    fn the_capacity_of_a_text_includes_its_incomplete_character() {
        for character in ["é", "€", "😀"] {
            let text = character.repeat(700);
            let mut message = PartialMessage::new(DataKind::Text, false);
            for (index, byte) in text.bytes().enumerate() {
                message.push(&[byte], Some(text.len() - index - 1)).expect("text");
            }
            assert_eq!(message.capacity(), text.len(), "{character}");
        }
    }
}
