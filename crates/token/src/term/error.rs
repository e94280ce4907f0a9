//! Why bytes are no term, a term is not the type asked for, or a value is no term.
//!
//! Shared by both directions, because serde asks for one error type that can also carry the texts of a user's own
//! `Serialize` and `Deserialize`.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::{MAX_DEPTH, tag};

/// Why a value and an Erlang term could not be turned into each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TermError {
    /// The first byte is not 131, the one version of the format.
    #[error("a term starts with byte 131, not with {0}")]
    Version(u8),

    /// The bytes end within the term.
    #[error("the term is cut off: {needed} bytes needed, {left} left")]
    Truncated {
        /// How many bytes the next part takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },

    /// More bytes follow after the term.
    #[error("{0} bytes follow after the term")]
    TrailingBytes(usize),

    /// A kind of term that is not accepted.
    #[error("tag {tag} is not accepted: {}", tag::refused(*.tag))]
    Unsupported {
        /// The tag byte.
        tag: u8,
    },

    /// A list whose tail is not the empty list.
    #[error("an improper list is not accepted")]
    ImproperList,

    /// Nesting beyond [`MAX_DEPTH`].
    #[error("the term is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,

    /// An integer of more than 128 bits.
    #[error("an integer of {bytes} bytes is larger than the 16 bytes that a Rust integer has")]
    IntegerTooLarge {
        /// How many bytes its magnitude has.
        bytes: usize,
    },

    /// A float that is NaN or infinite, which Erlang does not have.
    #[error("a float that is not finite is no term")]
    NotFinite,

    /// An atom's text is not UTF-8.
    #[error("an atom is not UTF-8")]
    AtomNotUtf8,

    /// A name is too long for an atom.
    #[error("an atom of {length} characters is longer than the limit of {limit}")]
    AtomTooLong {
        /// How many characters it has.
        length: usize,
        /// How many Erlang allows: 255.
        limit: usize,
    },

    /// A sequence or map has more elements than the type takes.
    #[error("{0} elements more than the type takes")]
    ElementsLeft(usize),

    /// More elements or bytes than the format can count, 2^32 - 1.
    #[error("{0} elements are more than a term can count")]
    TooMany(usize),

    /// A `Serialize` implementation announced another number of elements than it gave.
    #[error("a tuple was announced with {announced} elements, and got {given}")]
    Arity {
        /// The number announced.
        announced: usize,
        /// The number given.
        given: usize,
    },

    /// What serde or a user's own implementation reports, such as a missing field.
    #[error("{0}")]
    Custom(String),
}

impl serde::ser::Error for TermError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

/// serde's own texts quote the offending value, and what was encrypted must not end up in a log: these say its kind.
impl serde::de::Error for TermError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = kind(found);
        Self::Custom(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = kind(found);
        Self::Custom(format!("expected {expected}, found {found} that is not"))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        let expected = expected.join(", ");
        Self::Custom(format!("unknown variant, expected one of: {expected}"))
    }

    fn unknown_field(_field: &str, expected: &'static [&'static str]) -> Self {
        let expected = expected.join(", ");
        Self::Custom(format!("unknown field, expected one of: {expected}"))
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Bytes(_) => "bytes that are not text",
        Unexpected::Unit | Unexpected::Option => "nil",
        Unexpected::Seq => "a list or tuple",
        Unexpected::Map => "a map",
        Unexpected::UnitVariant => "a variant without data",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::term::{from_bytes, to_bytes};

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Card {
        number: u8,
    }

    #[derive(Deserialize, Debug)]
    enum Plan {
        Free,
        Paid,
    }

    fn message<T: serde::de::DeserializeOwned + fmt::Debug>(term: impl serde::Serialize) -> String {
        from_bytes::<T>(&to_bytes(&term).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_message_says_the_kind_of_what_was_found_and_not_its_value() {
        assert_eq!(message::<u64>("hunter2"), "expected u64, found text");
        assert_eq!(message::<u8>(1234), "expected u8, found an integer that is not");
        assert_eq!(message::<Plan>("hunter2"), "unknown variant, expected one of: Free, Paid");
        let card = std::collections::BTreeMap::from([("hunter2", 1)]);
        assert_eq!(message::<Card>(card), "unknown field, expected one of: number");
    }
}
