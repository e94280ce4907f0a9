//! Writes terms, one head at a time: the inverse of [`Reader`](super::Reader). The serializer is its only caller.
//!
//! Invariant: each method uses the encoding of Erlang itself (OTP 26 and later), so a term has the same bytes on both
//! sides.

use super::{TermError, tag};

/// Erlang's limit on the text of an atom, in characters.
const MAX_ATOM_LENGTH: usize = 255;

/// The maximum of elements that Erlang packs as a charlist (`STRING_EXT`).
const MAX_CHARLIST: usize = u16::MAX as usize;

/// The size of a list's head in bytes: its tag and its length.
const LIST_HEAD: usize = 5;

/// The bytes of a term that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

/// The start of a collection. Its length is written at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize);

impl Writer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![tag::VERSION] }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn unsigned(&mut self, value: u128) {
        match i32::try_from(value) {
            Ok(value) => self.small(value),
            Err(_) => self.big(false, value),
        }
    }

    pub(super) fn signed(&mut self, value: i128) {
        match i32::try_from(value) {
            Ok(value) => self.small(value),
            Err(_) => self.big(value < 0, value.unsigned_abs()),
        }
    }

    fn small(&mut self, value: i32) {
        match u8::try_from(value) {
            Ok(byte) => self.bytes.extend([tag::SMALL_INTEGER, byte]),
            Err(_) => {
                self.bytes.push(tag::INTEGER);
                self.bytes.extend(value.to_be_bytes());
            }
        }
    }

    fn big(&mut self, negative: bool, magnitude: u128) {
        let bytes = magnitude.to_le_bytes();
        let length = bytes.len() - magnitude.leading_zeros() as usize / 8;
        self.bytes.extend([tag::SMALL_BIG, length as u8, negative.into()]);
        self.bytes.extend(&bytes[..length]);
    }

    pub(super) fn float(&mut self, value: f64) -> Result<(), TermError> {
        if !value.is_finite() {
            return Err(TermError::NotFinite);
        }
        self.bytes.push(tag::NEW_FLOAT);
        self.bytes.extend(value.to_be_bytes());
        Ok(())
    }

    pub(super) fn atom(&mut self, text: &str) -> Result<(), TermError> {
        let length = text.chars().count();
        if length > MAX_ATOM_LENGTH {
            return Err(TermError::AtomTooLong { length, limit: MAX_ATOM_LENGTH });
        }
        match u8::try_from(text.len()) {
            Ok(length) => self.bytes.extend([tag::SMALL_ATOM_UTF8, length]),
            Err(_) => {
                self.bytes.push(tag::ATOM_UTF8);
                // 255 characters are at most 1020 bytes.
                self.bytes.extend((text.len() as u16).to_be_bytes());
            }
        }
        self.bytes.extend(text.as_bytes());
        Ok(())
    }

    pub(super) fn binary(&mut self, bytes: &[u8]) -> Result<(), TermError> {
        let length = counted(bytes.len())?;
        self.bytes.push(tag::BINARY);
        self.bytes.extend(length);
        self.bytes.extend(bytes);
        Ok(())
    }

    /// Begins a tuple. Its elements follow.
    pub(super) fn tuple(&mut self, arity: usize) -> Result<(), TermError> {
        match u8::try_from(arity) {
            Ok(arity) => self.bytes.extend([tag::SMALL_TUPLE, arity]),
            Err(_) => {
                let arity = counted(arity)?;
                self.bytes.push(tag::LARGE_TUPLE);
                self.bytes.extend(arity);
            }
        }
        Ok(())
    }

    /// Begins a list. Its elements follow, and then [`Writer::end_list`].
    pub(super) fn begin_list(&mut self) -> Mark {
        self.begin(tag::LIST)
    }

    /// Ends a list, as Erlang encodes it: the empty list has no head, and a list of bytes is packed.
    pub(super) fn end_list(&mut self, mark: Mark, length: usize) -> Result<(), TermError> {
        let start = mark.0;
        if length == 0 {
            self.bytes.truncate(start);
        } else if let Some(charlist) = packed(&self.bytes[start + LIST_HEAD..], length) {
            self.bytes.truncate(start);
            self.bytes.push(tag::STRING);
            self.bytes.extend((length as u16).to_be_bytes());
            self.bytes.extend(charlist);
            return Ok(());
        } else {
            self.end(mark, length)?;
        }
        self.bytes.push(tag::NIL);
        Ok(())
    }

    /// Begins a map. Its keys and values follow, and then [`Writer::end_map`].
    pub(super) fn begin_map(&mut self) -> Mark {
        self.begin(tag::MAP)
    }

    /// Ends a map.
    pub(super) fn end_map(&mut self, mark: Mark, pairs: usize) -> Result<(), TermError> {
        self.end(mark, pairs)
    }

    fn begin(&mut self, tag: u8) -> Mark {
        let mark = Mark(self.bytes.len());
        self.bytes.extend([tag, 0, 0, 0, 0]);
        mark
    }

    fn end(&mut self, mark: Mark, length: usize) -> Result<(), TermError> {
        self.bytes[mark.0 + 1..mark.0 + LIST_HEAD].copy_from_slice(&counted(length)?);
        Ok(())
    }
}

/// Returns the elements of a list as a charlist, if each is an integer from 0 to 255.
///
/// Such an integer has two bytes, its tag and its value. If the first element has two bytes, the next one begins at the
/// third byte, and so on. So the tag at every second byte up to the end proves that all elements are such integers.
fn packed(elements: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > MAX_CHARLIST || elements.len() != length * 2 {
        return None;
    }
    let (pairs, _) = elements.as_chunks::<2>();
    pairs.iter().map(|&[tag, byte]| (tag == tag::SMALL_INTEGER).then_some(byte)).collect()
}

fn counted(length: usize) -> Result<[u8; 4], TermError> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_| TermError::TooMany(length))
}
