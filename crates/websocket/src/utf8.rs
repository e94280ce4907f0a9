//! Text that arrives in pieces, validated as UTF-8 (RFC 6455 §8.1).
//!
//! `message` keeps the text of an incomplete message in a [`Utf8Buffer`]. A piece can end inside a character; its one
//! to three bytes are kept for the next piece. Invariant: a byte that cannot continue valid text is refused when it
//! arrives, not at the end of the message.

use crate::ProtocolError;

/// The valid text, and the incomplete character after it.
#[derive(Debug, Default)]
pub(crate) struct Utf8Buffer {
    text: String,
    /// The first `incomplete_len` bytes of a character. Invariant: they are a prefix of a valid character, and shorter
    /// than it.
    incomplete: [u8; 4],
    incomplete_len: usize,
}

impl Utf8Buffer {
    /// Appends the next piece.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::InvalidUtf8`] at the first byte that cannot continue valid text.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let piece = self.complete_character(piece)?;
        // A valid piece is one chunk. Otherwise the first chunk ends at the first invalid byte.
        let Some(chunk) = piece.utf8_chunks().next() else {
            return Ok(());
        };
        self.text.push_str(chunk.valid());
        let rest = &piece[chunk.valid().len()..];
        if rest.is_empty() {
            return Ok(());
        }
        if !is_incomplete_character(rest) {
            return Err(self.invalid());
        }
        self.incomplete[..rest.len()].copy_from_slice(rest);
        self.incomplete_len = rest.len();
        Ok(())
    }

    /// Returns the whole text.
    ///
    /// # Errors
    ///
    /// Returns [`ProtocolError::InvalidUtf8`] when the last character is incomplete.
    pub(crate) fn finish(self) -> Result<String, ProtocolError> {
        if self.incomplete_len > 0 {
            return Err(self.invalid());
        }
        Ok(self.text)
    }

    /// The number of bytes received.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.incomplete_len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Reserves `additional` bytes after the bytes received, an incomplete character included.
    pub(crate) fn reserve_exact(&mut self, additional: usize) {
        if additional > 0 {
            self.text.reserve_exact(self.incomplete_len + additional);
        }
    }

    /// Completes the incomplete character byte by byte, and returns the rest of the piece.
    fn complete_character<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], ProtocolError> {
        while self.incomplete_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            self.incomplete[self.incomplete_len] = byte;
            let candidate = &self.incomplete[..=self.incomplete_len];
            if let Ok(character) = std::str::from_utf8(candidate) {
                self.text.push_str(character);
                self.incomplete_len = 0;
            } else if is_incomplete_character(candidate) {
                self.incomplete_len += 1;
            } else {
                return Err(self.invalid());
            }
            piece = rest;
        }
        Ok(piece)
    }

    fn invalid(&self) -> ProtocolError {
        ProtocolError::InvalidUtf8 { index: self.text.len() }
    }
}

/// Whether the bytes are the start of one valid character.
fn is_incomplete_character(bytes: &[u8]) -> bool {
    // True for at most three bytes, because the longest character has four.
    matches!(std::str::from_utf8(bytes), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pushed(pieces: &[&[u8]]) -> Result<String, ProtocolError> {
        let mut buffer = Utf8Buffer::default();
        for piece in pieces {
            buffer.push(piece)?;
        }
        buffer.finish()
    }

    #[test]
    fn a_character_can_be_divided_at_any_byte() {
        let face = "😀".as_bytes();
        assert_eq!(pushed(&[&face[..1], &face[1..2], b"", &face[2..]]).as_deref(), Ok("😀"));
    }

    #[test]
    fn text_that_ends_inside_a_character_is_refused_at_the_end() {
        let error = pushed(&[b"ab\xE2\x82"]).expect_err("the euro sign has three bytes");
        assert_eq!(error, ProtocolError::InvalidUtf8 { index: 2 });
    }

    #[test]
    fn the_first_byte_that_cannot_continue_a_character_is_refused_when_it_arrives() {
        let mut buffer = Utf8Buffer::default();
        buffer.push(b"ok\xF4").expect("F4 begins a character");
        assert!(buffer.push(b"\x90").is_err(), "above U+10FFFF");
    }

    proptest! {
        #[test]
        fn bytes_in_pieces_have_the_same_result_as_the_whole(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(prop_oneof![Just(0xE2u8), Just(0x82), Just(0xF0), Just(0x9F), any::<u8>()], 0..12),
            ],
            cuts in proptest::collection::vec(0usize..6, 0..12),
        ) {
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            pieces.push(rest);
            let whole = String::from_utf8(bytes.clone());
            match (pushed(&pieces), whole) {
                (Ok(text), Ok(expected)) => prop_assert_eq!(text, expected),
                (Err(ProtocolError::InvalidUtf8 { index }), Err(expected)) => {
                    prop_assert_eq!(index, expected.utf8_error().valid_up_to());
                }
                (verdict, expected) => prop_assert!(false, "{verdict:?} but {expected:?}"),
            }
        }

        #[test]
        fn a_prefix_is_refused_exactly_when_no_text_begins_with_it(
            bytes in proptest::collection::vec(any::<u8>(), 1..6),
        ) {
            let hopeless = matches!(std::str::from_utf8(&bytes), Err(error) if error.error_len().is_some());
            let mut buffer = Utf8Buffer::default();
            let refused = bytes.iter().any(|byte| buffer.push(&[*byte]).is_err());
            prop_assert_eq!(refused, hopeless);
        }
    }
}
