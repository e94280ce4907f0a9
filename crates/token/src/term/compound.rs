//! Collections during serialization: a list, a tuple or a map, to which serde passes the elements one by one.
//!
//! [`TermSerializer`] creates one after it has entered a level of nesting; the collection leaves the level at its end.
//! Lists and maps count their elements, because serde may not have the length in advance.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::TermError;
use super::serializer::TermSerializer;
use super::writer::Mark;

pub(super) struct List<'s> {
    serializer: &'s mut TermSerializer,
    mark: Mark,
    length: usize,
}

impl<'s> List<'s> {
    pub(super) fn new(serializer: &'s mut TermSerializer) -> Self {
        let mark = serializer.writer.begin_list();
        Self { serializer, mark, length: 0 }
    }
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.length += 1;
        value.serialize(&mut *self.serializer)
    }

    fn end(self) -> Result<(), TermError> {
        self.serializer.leave();
        self.serializer.writer.end_list(self.mark, self.length)
    }
}

/// A tuple. Its length is written first, so the number of elements is compared at the end.
pub(super) struct Tuple<'s> {
    serializer: &'s mut TermSerializer,
    announced: usize,
    written: usize,
}

impl<'s> Tuple<'s> {
    pub(super) fn new(serializer: &'s mut TermSerializer, announced: usize) -> Self {
        Self { serializer, announced, written: 0 }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.written += 1;
        value.serialize(&mut *self.serializer)
    }

    fn finish(self) -> Result<(), TermError> {
        self.serializer.leave();
        if self.written != self.announced {
            return Err(TermError::Arity { announced: self.announced, given: self.written });
        }
        Ok(())
    }
}

impl SerializeTuple for Tuple<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.element(value)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}

impl SerializeTupleStruct for Tuple<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.element(value)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}

impl SerializeTupleVariant for Tuple<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.element(value)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}

/// A map, whose keys are terms of their own; or a struct, whose field names are atoms.
pub(super) struct Map<'s> {
    serializer: &'s mut TermSerializer,
    mark: Mark,
    keys: usize,
    values: usize,
    /// Whether the map is the last element of a tuple `{:variant, ...}`, which ends with it.
    in_variant: bool,
}

impl<'s> Map<'s> {
    pub(super) fn new(serializer: &'s mut TermSerializer) -> Self {
        let mark = serializer.writer.begin_map();
        Self { serializer, mark, keys: 0, values: 0, in_variant: false }
    }

    /// Begins the map of a struct variant.
    pub(super) fn in_variant(serializer: &'s mut TermSerializer) -> Self {
        Self { in_variant: true, ..Self::new(serializer) }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), TermError> {
        self.serializer.writer.atom(name)?;
        self.keys += 1;
        self.serialize_value(value)
    }

    fn finish(self) -> Result<(), TermError> {
        if self.keys != self.values {
            return Err(TermError::custom(format!(
                "a `Serialize` implementation wrote a map of {} keys and {} values",
                self.keys, self.values
            )));
        }
        self.serializer.leave();
        if self.in_variant {
            self.serializer.leave();
        }
        self.serializer.writer.end_map(self.mark, self.keys)
    }
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), TermError> {
        self.keys += 1;
        key.serialize(&mut *self.serializer)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TermError> {
        self.values += 1;
        value.serialize(&mut *self.serializer)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}

impl SerializeStruct for Map<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), TermError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}

impl SerializeStructVariant for Map<'_> {
    type Ok = ();
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), TermError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), TermError> {
        self.finish()
    }
}
