//! The variants of enums: an atom for a variant without data, a tuple that begins with an atom for the others.
//!
//! Examples are `:closed`, `{:open, 5}`, `{:move, 1, 2}` and `{:resize, %{width: 3}}`. The deserializer creates a
//! [`Variant`] when the requested type is an enum.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::TermError;

/// A variant: its name and its data.
pub(super) enum Variant<'e, A> {
    /// The name without data.
    Unit(&'e str),
    /// A tuple: the name first, then `length` elements of data.
    Tuple { elements: &'e mut A, length: usize },
}

impl<'e, 'de, A: SeqAccess<'de, Error = TermError>> Variant<'e, A> {
    /// Reads the only element of the data.
    fn one<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, TermError> {
        let (elements, _) = self.data()?;
        elements.next_element_seed(seed)?.ok_or_else(|| TermError::invalid_length(0, &"one value with the variant"))
    }

    fn data(self) -> Result<(&'e mut A, usize), TermError> {
        match self {
            Self::Unit(_) => Err(TermError::invalid_type(Unexpected::UnitVariant, &"a variant with data")),
            Self::Tuple { elements, length } => Ok((elements, length)),
        }
    }
}

impl<'de, A: SeqAccess<'de, Error = TermError>> EnumAccess<'de> for Variant<'_, A> {
    type Error = TermError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self), TermError> {
        let name = match &mut self {
            Self::Unit(name) => {
                let name: StrDeserializer<'_, TermError> = (*name).into_deserializer();
                seed.deserialize(name)?
            }
            Self::Tuple { elements, .. } => elements
                .next_element_seed(seed)?
                .ok_or_else(|| TermError::invalid_length(0, &"the name of a variant"))?,
        };
        Ok((name, self))
    }
}

impl<'de, A: SeqAccess<'de, Error = TermError>> VariantAccess<'de> for Variant<'_, A> {
    type Error = TermError;

    /// Accepts the variant. In a tuple, the end of the tuple refuses any data.
    fn unit_variant(self) -> Result<(), TermError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, TermError> {
        self.one(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, TermError> {
        let (elements, given) = self.data()?;
        if given != length {
            return Err(TermError::invalid_length(given, &visitor));
        }
        visitor.visit_seq(elements)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TermError> {
        self.one(Fields(visitor))
    }
}

/// The fields of a struct variant, which are a map.
struct Fields<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Fields<V> {
    type Value = V::Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, map: D) -> Result<V::Value, D::Error> {
        map.deserialize_map(self.0)
    }
}
