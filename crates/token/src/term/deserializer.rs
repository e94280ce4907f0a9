//! serde's `Deserializer` over [`Reader`]: the Rust value of each term.
//!
//! [`from_bytes`](super::from_bytes) calls it, and the `payload` module for the value of a token. The table in
//! [`term`](super) describes this file; enums continue in `variant`.
//!
//! Invariants: a level of nesting is entered before its first element is read, and refused beyond [`MAX_DEPTH`]. A
//! collection must be read to its end, so no type silently drops elements. serde receives no length in advance, because
//! it would reserve memory for it.

use std::borrow::Cow;

use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::variant::Variant;
use super::{Head, MAX_DEPTH, Reader, TermError};

#[derive(Debug)]
pub(super) struct TermDeserializer<'de> {
    reader: Reader<'de>,
    depth: usize,
}

impl<'de> TermDeserializer<'de> {
    pub(super) fn new(reader: Reader<'de>) -> Self {
        Self { reader, depth: 0 }
    }

    /// Checks that no bytes follow the term.
    pub(super) fn finish(self) -> Result<(), TermError> {
        match self.reader.rest().len() {
            0 => Ok(()),
            left => Err(TermError::TrailingBytes(left)),
        }
    }

    fn head(&mut self) -> Result<Head<'de>, TermError> {
        self.reader.head()
    }

    /// Passes `count` elements to a visitor.
    fn elements<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, TermError> {
        self.nested(count, |elements| visitor.visit_seq(elements))
    }

    /// Reads `count` elements one level deeper. `read` must read all of them.
    fn nested<T>(
        &mut self,
        count: usize,
        read: impl FnOnce(&mut Elements<'_, 'de>) -> Result<T, TermError>,
    ) -> Result<T, TermError> {
        if self.depth == MAX_DEPTH {
            return Err(TermError::TooDeep);
        }
        self.depth += 1;
        let mut elements = Elements { deserializer: self, left: count };
        let value = read(&mut elements)?;
        if elements.left > 0 {
            return Err(TermError::ElementsLeft(elements.left));
        }
        self.depth -= 1;
        Ok(value)
    }

    /// Passes the term with this head to a visitor, in the type of the term.
    fn visit<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value, TermError> {
        match head {
            Head::Integer(integer) => integer.visit(visitor),
            Head::Float(value) => visitor.visit_f64(value),
            Head::Atom(text) => match &*text {
                "nil" => visitor.visit_unit(),
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => text_of_atom(text, visitor),
            },
            Head::Binary(bytes) => match str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(bytes),
            },
            Head::Charlist(bytes) => bytes_as_sequence(bytes, visitor),
            Head::EmptyList => self.elements(0, visitor),
            Head::Tuple(arity) => self.elements(arity, visitor),
            Head::List(length) => {
                let value = self.elements(length, visitor)?;
                self.reader.tail()?;
                Ok(value)
            }
            Head::Map(pairs) => self.nested(pairs, |entries| visitor.visit_map(entries)),
        }
    }
}

fn text_of_atom<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, TermError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn bytes_as_sequence<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V) -> Result<V::Value, TermError> {
    let mut elements = SeqDeserializer::new(bytes.iter().copied());
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}

impl<'de> Deserializer<'de> for &mut TermDeserializer<'de> {
    type Error = TermError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        let head = self.head()?;
        self.visit(head, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        let here = self.reader;
        match self.head()? {
            Head::Atom(text) if text == "nil" => visitor.visit_none(),
            _ => {
                self.reader = here;
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        match self.head()? {
            Head::Binary(bytes) | Head::Charlist(bytes) => visitor.visit_borrowed_bytes(bytes),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.deserialize_bytes(visitor)
    }

    /// Also accepts a binary: `Vec<u8>` requests a sequence, and Elixir's bytes are binaries.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        match self.head()? {
            Head::Binary(bytes) => bytes_as_sequence(bytes, visitor),
            head => self.visit(head, visitor),
        }
    }

    /// Also accepts a binary: `[u8; N]` requests a tuple.
    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, TermError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TermError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TermError> {
        match self.head()? {
            Head::Atom(name) => visitor.visit_enum(Variant::<Elements>::Unit(&name)),
            Head::Binary(name) => match str::from_utf8(name) {
                Ok(name) => visitor.visit_enum(Variant::<Elements>::Unit(name)),
                Err(_) => Err(TermError::invalid_type(Unexpected::Bytes(name), &visitor)),
            },
            Head::Tuple(arity) if arity > 0 => {
                self.nested(arity, |elements| visitor.visit_enum(Variant::Tuple { elements, length: arity - 1 }))
            }
            head => self.visit(head, visitor),
        }
    }

    /// Reads a name. Every atom is text here, `nil`, `true` and `false` included.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        match self.head()? {
            Head::Atom(text) => text_of_atom(text, visitor),
            head => self.visit(head, visitor),
        }
    }

    /// Skips the term without recursion, so its nesting has no limit.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.reader.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct map struct tuple_struct
    }
}

/// The rest of a collection: the elements of a list or tuple, the pairs of a map.
pub(super) struct Elements<'d, 'de> {
    deserializer: &'d mut TermDeserializer<'de>,
    left: usize,
}

impl<'de> Elements<'_, 'de> {
    /// Counts one element as read. Returns `false` when there is none.
    fn take(&mut self) -> bool {
        let has_next = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_next
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = TermError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, TermError> {
        match self.take() {
            true => seed.deserialize(&mut *self.deserializer).map(Some),
            false => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = TermError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TermError> {
        match self.take() {
            true => seed.deserialize(Key(self.deserializer)).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TermError> {
        seed.deserialize(&mut *self.deserializer)
    }
}

/// A key of a map. When the requested type is text, the atoms `nil`, `true` and `false` are text too.
struct Key<'d, 'de>(&'d mut TermDeserializer<'de>);

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = TermError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_identifier(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_identifier(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_identifier(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_ignored_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        self.0.deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TermError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TermError> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct
    }
}
