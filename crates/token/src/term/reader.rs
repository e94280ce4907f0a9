//! Reads terms from bytes, one head at a time.
//!
//! A [`Head`] is a complete scalar, or the start of a collection. The elements of a collection follow as terms of their
//! own. The deserializer and the `payload` module call the reader. It keeps no stack: the deserializer counts the
//! levels of nesting, and [`Reader::skip`] counts terms.
//!
//! Invariants: no byte is read past the end. Nothing is allocated but the text of a Latin-1 atom, which has at most
//! twice the bytes of the atom. The length of a collection is at most the number of bytes left, since each element has
//! at least one.

use std::borrow::Cow;

use super::integer::Integer;
use super::{TermError, tag};

/// The start of a term: its tag, with its value or its length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Head<'a> {
    Integer(Integer<'a>),
    Float(f64),
    Atom(Cow<'a, str>),
    Binary(&'a [u8]),
    /// A list of integers from 0 to 255, one byte each: `STRING_EXT`.
    Charlist(&'a [u8]),
    EmptyList,
    /// The number of elements that follow.
    Tuple(usize),
    /// The number of elements that follow. The tail comes after them.
    List(usize),
    /// The number of pairs that follow.
    Map(usize),
}

/// A position in the bytes of a term. A copy keeps the position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that are left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the version byte, with which a term begins that is not part of another one.
    pub(crate) fn version(&mut self) -> Result<(), TermError> {
        match self.u8()? {
            tag::VERSION => Ok(()),
            other => Err(TermError::Version(other)),
        }
    }

    /// Reads the start of the next term.
    pub(crate) fn head(&mut self) -> Result<Head<'a>, TermError> {
        Ok(match self.u8()? {
            tag::SMALL_INTEGER => Head::Integer(Integer::Small(self.u8()?.into())),
            tag::INTEGER => Head::Integer(Integer::Small(i32::from_be_bytes(self.array()?).into())),
            tag::SMALL_BIG => {
                let length = self.u8()?.into();
                self.big(length)?
            }
            tag::LARGE_BIG => {
                let length = self.u32()?;
                self.big(length)?
            }
            tag::NEW_FLOAT => match f64::from_be_bytes(self.array()?) {
                value if value.is_finite() => Head::Float(value),
                _ => return Err(TermError::NotFinite),
            },
            tag::SMALL_ATOM_UTF8 => {
                let length = self.u8()?.into();
                self.atom_utf8(length)?
            }
            tag::ATOM_UTF8 => {
                let length = self.u16()?;
                self.atom_utf8(length)?
            }
            tag::SMALL_ATOM => {
                let length = self.u8()?.into();
                self.atom_latin1(length)?
            }
            tag::ATOM => {
                let length = self.u16()?;
                self.atom_latin1(length)?
            }
            tag::BINARY => {
                let length = self.u32()?;
                Head::Binary(self.take(length)?)
            }
            tag::STRING => {
                let length = self.u16()?;
                Head::Charlist(self.take(length)?)
            }
            tag::NIL => Head::EmptyList,
            tag::SMALL_TUPLE => {
                let arity = self.u8()?.into();
                Head::Tuple(self.count(arity, 1)?)
            }
            tag::LARGE_TUPLE => {
                let arity = self.u32()?;
                Head::Tuple(self.count(arity, 1)?)
            }
            tag::LIST => {
                let length = self.u32()?;
                Head::List(self.count(length, 1)?)
            }
            tag::MAP => {
                let pairs = self.u32()?;
                Head::Map(self.count(pairs, 2)?)
            }
            tag => return Err(TermError::Unsupported { tag }),
        })
    }

    /// Reads the tail of a list, which must be the empty list.
    pub(crate) fn tail(&mut self) -> Result<(), TermError> {
        match self.u8()? {
            tag::NIL => Ok(()),
            _ => Err(TermError::ImproperList),
        }
    }

    /// Skips the next term with its elements, and returns its bytes.
    ///
    /// It counts terms and does not recurse, so nesting has no limit.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], TermError> {
        let start = self.rest;
        // At most the number of bytes read, since each element of a collection has at least one byte.
        let mut terms: usize = 1;
        while terms > 0 {
            terms -= 1;
            terms += match self.head()? {
                Head::Tuple(arity) => arity,
                Head::List(length) => length + 1,
                Head::Map(pairs) => pairs * 2,
                _ => 0,
            };
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    fn big(&mut self, length: usize) -> Result<Head<'a>, TermError> {
        let negative = self.u8()? != 0;
        let magnitude = self.take(length)?;
        Ok(Head::Integer(Integer::Big { negative, magnitude }))
    }

    fn atom_utf8(&mut self, length: usize) -> Result<Head<'a>, TermError> {
        match str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Head::Atom(Cow::Borrowed(text))),
            Err(_) => Err(TermError::AtomNotUtf8),
        }
    }

    fn atom_latin1(&mut self, length: usize) -> Result<Head<'a>, TermError> {
        let bytes = self.take(length)?;
        Ok(Head::Atom(match str::from_utf8(bytes) {
            Ok(text) if bytes.is_ascii() => Cow::Borrowed(text),
            // The first 256 code points of Unicode are Latin-1.
            _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        }))
    }

    /// Checks an announced number of elements against the bytes that are left.
    fn count(&self, elements: usize, bytes_each: usize) -> Result<usize, TermError> {
        let needed = elements.saturating_mul(bytes_each);
        if needed > self.rest.len() {
            return Err(TermError::Truncated { needed, left: self.rest.len() });
        }
        Ok(elements)
    }

    fn u8(&mut self) -> Result<u8, TermError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<usize, TermError> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn u32(&mut self) -> Result<usize, TermError> {
        // On a 16-bit target such a length does not fit, and neither do the bytes that it announces.
        Ok(usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TermError> {
        let (array, rest) =
            self.rest.split_first_chunk().ok_or(TermError::Truncated { needed: N, left: self.rest.len() })?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TermError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(TermError::Truncated { needed: length, left: self.rest.len() })?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_that_announces_more_elements_than_bytes_is_refused_at_its_head() {
        for announcement in [
            [tag::LIST, 255, 255, 255, 255, tag::NIL],
            [tag::LARGE_TUPLE, 255, 255, 255, 255, tag::NIL],
            [tag::MAP, 0, 0, 0, 1, tag::NIL],
            [tag::BINARY, 0, 0, 0, 2, 0],
            [tag::LARGE_BIG, 255, 255, 255, 255, 0],
        ] {
            let error = Reader::new(&announcement).head().unwrap_err();
            assert!(matches!(error, TermError::Truncated { .. }), "{announcement:?}: {error}");
        }
    }

    #[test]
    fn skip_skips_exactly_one_term_of_any_depth() {
        let deep: Vec<u8> = [tag::SMALL_TUPLE, 1].repeat(100_000);
        let bytes = [&deep[..], &[tag::NIL, 42]].concat();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.skip().unwrap().len(), bytes.len() - 1);
        assert_eq!(reader.rest(), [42]);
    }

    #[test]
    fn old_atoms_are_latin_1_and_new_ones_utf_8() {
        for bytes in [&[tag::ATOM, 0, 1, 0xE9][..], &[tag::SMALL_ATOM_UTF8, 2, 0xC3, 0xA9]] {
            assert_eq!(Reader::new(bytes).head(), Ok(Head::Atom("é".into())));
        }
        let invalid = [tag::SMALL_ATOM_UTF8, 1, 0xE9];
        assert_eq!(Reader::new(&invalid).head(), Err(TermError::AtomNotUtf8));
    }

    #[test]
    fn a_refused_term_is_an_error_that_names_its_kind() {
        let error = Reader::new(&[80, 0, 0, 0, 1]).head().unwrap_err();
        assert_eq!(error.to_string(), "tag 80 is not accepted: a compressed term");
    }
}
