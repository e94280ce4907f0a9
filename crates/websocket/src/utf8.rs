//! Text that arrives in pieces: UTF-8 checked as it comes (RFC 6455 §8.1).
//!
//! A message's text is kept here while its fragments arrive. A piece may end inside a character; those
//! one to three bytes wait for the next piece. A byte that no valid text could have in its place is
//! refused at once, not at the end of the message.

use crate::ProtocolError;

/// The valid text so far, and the begun character after it.
#[derive(Debug, Default)]
pub(crate) struct Utf8Buffer {
    text: String,
    /// The first bytes of a character, `begun_len` of them. Invariant: they are a prefix of some valid
    /// character, and never a whole one.
    begun: [u8; 4],
    begun_len: usize,
}

impl Utf8Buffer {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] at the first byte that cannot continue valid text.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let piece = self.complete_begun(piece)?;
        // One chunk when all is valid; otherwise the first one ends where the trouble is.
        let Some(chunk) = piece.utf8_chunks().next() else {
            return Ok(());
        };
        self.text.push_str(chunk.valid());
        let rest = &piece[chunk.valid().len()..];
        if rest.is_empty() {
            return Ok(());
        }
        if !is_begun_character(rest) {
            return Err(self.invalid());
        }
        self.begun[..rest.len()].copy_from_slice(rest);
        self.begun_len = rest.len();
        Ok(())
    }

    /// The whole text.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] when the last character is not whole.
    pub(crate) fn finish(self) -> Result<String, ProtocolError> {
        if self.begun_len > 0 {
            return Err(self.invalid());
        }
        Ok(self.text)
    }

    /// How many bytes were taken.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.begun_len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for so many bytes after those taken, a begun character among them.
    pub(crate) fn reserve_exact(&mut self, additional: usize) {
        if additional > 0 {
            self.text.reserve_exact(self.begun_len + additional);
        }
    }

    /// Feeds the begun character byte by byte, and returns what is left of the piece.
    fn complete_begun<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], ProtocolError> {
        while self.begun_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            self.begun[self.begun_len] = byte;
            let candidate = &self.begun[..=self.begun_len];
            if let Ok(character) = std::str::from_utf8(candidate) {
                self.text.push_str(character);
                self.begun_len = 0;
            } else if is_begun_character(candidate) {
                self.begun_len += 1;
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

/// Whether more bytes could make one valid character of these.
fn is_begun_character(bytes: &[u8]) -> bool {
    // At most three bytes: the longest character has four.
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
    fn a_character_may_be_cut_anywhere() {
        let face = "😀".as_bytes();
        assert_eq!(pushed(&[&face[..1], &face[1..2], b"", &face[2..]]).as_deref(), Ok("😀"));
    }

    #[test]
    fn text_that_ends_inside_a_character_is_refused_at_its_end() {
        let error = pushed(&[b"ab\xE2\x82"]).expect_err("the euro sign has three bytes");
        assert_eq!(error, ProtocolError::InvalidUtf8 { index: 2 });
    }

    #[test]
    fn the_first_byte_that_cannot_follow_is_refused_at_once() {
        let mut buffer = Utf8Buffer::default();
        buffer.push(b"ok\xF4").expect("a character may begin so");
        assert!(buffer.push(b"\x90").is_err(), "above U+10FFFF");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_gives_the_verdict_of_the_whole(
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
        fn a_prefix_is_refused_exactly_when_no_text_can_begin_so(
            bytes in proptest::collection::vec(any::<u8>(), 1..6),
        ) {
            let hopeless = matches!(std::str::from_utf8(&bytes), Err(error) if error.error_len().is_some());
            let mut buffer = Utf8Buffer::default();
            let refused = bytes.iter().any(|byte| buffer.push(&[*byte]).is_err());
            prop_assert_eq!(refused, hopeless);
        }
    }
}
