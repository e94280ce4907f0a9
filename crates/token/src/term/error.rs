//! The errors of the term format: bytes that are not a term, a term without the requested type, a value without a term.
//!
//! Both directions share one type, because serde requires one that can also carry the texts of a user's own `Serialize`
//! and `Deserialize`.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::{MAX_DEPTH, tag};

/// A value or an Erlang term that could not be converted into the other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TermError {
    /// The first byte is not 131, the only version of the format.
    #[error("byte {0} is not the version of a term, which is 131")]
    Version(u8),

    /// The bytes end inside the term.
    #[error("the term is not complete: the next part needs {needed} bytes, {left} are left")]
    Truncated {
        /// The bytes that the next part needs.
        needed: usize,
        /// The bytes that are left.
        left: usize,
    },

    /// More bytes follow the term.
    #[error("the bytes are not one term: {0} bytes follow its end")]
    TrailingBytes(usize),

    /// A kind of term that is not accepted.
    #[error("tag {tag} is not accepted: {}", tag::describe_refused(*.tag))]
    Unsupported {
        /// The tag byte.
        tag: u8,
    },

    /// A list with a tail that is not the empty list.
    #[error("an improper list is not accepted")]
    ImproperList,

    /// Nesting beyond [`MAX_DEPTH`].
    #[error("the term is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,

    /// An integer of more than 128 bits.
    #[error("an integer of {bytes} bytes does not fit in 128 bits")]
    IntegerTooLarge {
        /// The bytes of its magnitude.
        bytes: usize,
    },

    /// A float that is NaN or infinite, which Erlang does not have.
    #[error("a float that is not finite is not a term")]
    NotFinite,

    /// An atom's text is not UTF-8.
    #[error("an atom is not UTF-8")]
    AtomNotUtf8,

    /// A name is too long for an atom.
    #[error("an atom of {length} characters is longer than the limit of {limit}")]
    AtomTooLong {
        /// The number of characters.
        length: usize,
        /// Erlang's limit: 255.
        limit: usize,
    },

    /// A sequence or map has more elements than the type.
    #[error("the term has {0} elements more than the requested type")]
    ElementsLeft(usize),

    /// More elements or bytes than the limit of the format, 2^32 - 1.
    #[error("a term cannot have {0} elements or bytes: the limit is 4294967295")]
    TooMany(usize),

    /// A `Serialize` implementation announced one number of elements and wrote another.
    #[error("a `Serialize` implementation announced a tuple of {announced} elements and wrote {given}")]
    Arity {
        /// The announced number.
        announced: usize,
        /// The written number.
        given: usize,
    },

    /// An error of serde or of a user's own implementation, such as a missing field.
    #[error("{0}")]
    Custom(String),
}

impl serde::ser::Error for TermError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

/// Names the kind of the value that was found. serde's own texts quote the value, and the value of an encrypted token
/// must not be written into a log.
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
        Self::Custom(format!("expected {expected}, found {found} with another value"))
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
    fn a_message_has_the_kind_of_the_value_found_and_never_the_value() {
        assert_eq!(message::<u64>("hunter2"), "expected u64, found text");
        assert_eq!(message::<u8>(1234), "expected u8, found an integer with another value");
        assert_eq!(message::<Plan>("hunter2"), "unknown variant, expected one of: Free, Paid");
        let card = std::collections::BTreeMap::from([("hunter2", 1)]);
        assert_eq!(message::<Card>(card), "unknown field, expected one of: number");
    }
}
