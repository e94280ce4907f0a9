//! serde's `Serializer`: the term of each Rust value.
//!
//! [`to_bytes`](super::to_bytes) creates one for each value. The table in [`term`](super) describes this file;
//! collections continue in `compound`.
//!
//! Invariant: nesting is refused beyond [`MAX_DEPTH`], as in the deserializer, so every written term can be read.

use serde::{Serialize, Serializer};

use super::compound::{List, Map, Tuple};
use super::writer::Writer;
use super::{MAX_DEPTH, TermError};

/// A serialization in progress: the writer and the current depth.
#[derive(Debug)]
pub(super) struct TermSerializer {
    pub(super) writer: Writer,
    depth: usize,
}

impl Default for TermSerializer {
    fn default() -> Self {
        Self { writer: Writer::new(), depth: 0 }
    }
}

impl TermSerializer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }

    pub(super) fn enter(&mut self) -> Result<(), TermError> {
        if self.depth == MAX_DEPTH {
            return Err(TermError::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Begins the tuple `{:variant, ...}`.
    fn begin_variant(&mut self, variant: &str, fields: usize) -> Result<(), TermError> {
        self.enter()?;
        self.writer.tuple(fields + 1)?;
        self.writer.atom(variant)
    }
}

/// Implements the methods for integers.
macro_rules! integers {
    ($($method:ident($type:ty) => $write:ident,)*) => {
        $(fn $method(self, value: $type) -> Result<(), TermError> {
            self.writer.$write(value.into());
            Ok(())
        })*
    };
}

impl<'s> Serializer for &'s mut TermSerializer {
    type Ok = ();
    type Error = TermError;
    type SerializeSeq = List<'s>;
    type SerializeTuple = Tuple<'s>;
    type SerializeTupleStruct = Tuple<'s>;
    type SerializeTupleVariant = Tuple<'s>;
    type SerializeMap = Map<'s>;
    type SerializeStruct = Map<'s>;
    type SerializeStructVariant = Map<'s>;

    integers! {
        serialize_i8(i8) => signed,
        serialize_i16(i16) => signed,
        serialize_i32(i32) => signed,
        serialize_i64(i64) => signed,
        serialize_i128(i128) => signed,
        serialize_u8(u8) => unsigned,
        serialize_u16(u16) => unsigned,
        serialize_u32(u32) => unsigned,
        serialize_u64(u64) => unsigned,
        serialize_u128(u128) => unsigned,
    }

    fn serialize_bool(self, value: bool) -> Result<(), TermError> {
        self.writer.atom(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), TermError> {
        self.writer.float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), TermError> {
        self.writer.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), TermError> {
        self.writer.binary(value.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<(), TermError> {
        self.writer.binary(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), TermError> {
        self.writer.binary(value)
    }

    fn serialize_none(self) -> Result<(), TermError> {
        self.writer.atom("nil")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), TermError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), TermError> {
        self.writer.atom("nil")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), TermError> {
        self.writer.atom("nil")
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), TermError> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), TermError> {
        self.writer.atom(variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), TermError> {
        self.begin_variant(variant, 1)?;
        value.serialize(&mut *self)?;
        self.leave();
        Ok(())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Tuple<'s>, TermError> {
        self.begin_variant(variant, length)?;
        Ok(Tuple::new(self, length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Map<'s>, TermError> {
        self.begin_variant(variant, 1)?;
        self.enter()?;
        Ok(Map::in_variant(self))
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'s>, TermError> {
        self.enter()?;
        Ok(List::new(self))
    }

    fn serialize_tuple(self, length: usize) -> Result<Tuple<'s>, TermError> {
        self.enter()?;
        self.writer.tuple(length)?;
        Ok(Tuple::new(self, length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Tuple<'s>, TermError> {
        self.serialize_tuple(length)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Map<'s>, TermError> {
        self.enter()?;
        Ok(Map::new(self))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Map<'s>, TermError> {
        self.serialize_map(None)
    }
}
