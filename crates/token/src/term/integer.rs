//! Integers of any size in the term format, and the Rust type that can represent each.
//!
//! [`Reader`](super::Reader) returns them, and the deserializer passes them to a visitor.

use serde::de::Visitor;

use super::TermError;

/// The size of Rust's largest integer in bytes.
const MAX_BYTES: usize = size_of::<u128>();

/// An integer term: a sign and a magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer<'a> {
    /// `SMALL_INTEGER_EXT` or `INTEGER_EXT`, of at most 4 bytes.
    Small(i64),
    /// `SMALL_BIG_EXT` or `LARGE_BIG_EXT`.
    Big {
        negative: bool,
        /// Little-endian. Zeros at the end are ignored.
        magnitude: &'a [u8],
    },
}

/// The narrowest type of serde's visitors that can represent an integer. Most visitors accept 64 bits only.
#[derive(Debug, PartialEq, Eq)]
enum Fit {
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
}

impl Integer<'_> {
    /// The value, if it fits in 64 bits.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self.fit() {
            Ok(Fit::I64(value)) => Some(value),
            Ok(Fit::U64(value)) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        match self.fit()? {
            Fit::I64(value) => visitor.visit_i64(value),
            Fit::U64(value) => visitor.visit_u64(value),
            Fit::I128(value) => visitor.visit_i128(value),
            Fit::U128(value) => visitor.visit_u128(value),
        }
    }

    fn fit(self) -> Result<Fit, TermError> {
        let (negative, magnitude) = match self {
            Integer::Small(value) => (value < 0, u128::from(value.unsigned_abs())),
            Integer::Big { negative, magnitude } => (negative, from_little_endian(magnitude)?),
        };
        if !negative {
            return Ok(match u64::try_from(magnitude) {
                Ok(value) => Fit::U64(value),
                Err(_) => Fit::U128(magnitude),
            });
        }
        let value = 0_i128.checked_sub_unsigned(magnitude).ok_or(TermError::IntegerTooLarge { bytes: MAX_BYTES })?;
        Ok(match i64::try_from(value) {
            Ok(value) => Fit::I64(value),
            Err(_) => Fit::I128(value),
        })
    }
}

fn from_little_endian(magnitude: &[u8]) -> Result<u128, TermError> {
    let length = magnitude.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let mut bytes = [0; MAX_BYTES];
    bytes.get_mut(..length).ok_or(TermError::IntegerTooLarge { bytes: length })?.copy_from_slice(&magnitude[..length]);
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(negative: bool, magnitude: u128) -> Result<Fit, TermError> {
        Integer::Big { negative, magnitude: &magnitude.to_le_bytes() }.fit()
    }

    #[test]
    fn an_integer_has_the_narrowest_type_that_can_represent_it() {
        assert_eq!(Integer::Small(7).fit(), Ok(Fit::U64(7)));
        assert_eq!(Integer::Small(-7).fit(), Ok(Fit::I64(-7)));
        assert_eq!(big(false, u64::MAX.into()), Ok(Fit::U64(u64::MAX)));
        assert_eq!(big(false, 1 << 64), Ok(Fit::U128(1 << 64)));
        assert_eq!(big(true, 1 << 63), Ok(Fit::I64(i64::MIN)));
        assert_eq!(big(true, (1 << 63) + 1), Ok(Fit::I128(-(1 << 63) - 1)));
        assert_eq!(big(true, 1 << 127), Ok(Fit::I128(i128::MIN)));
    }

    #[test]
    fn an_integer_beyond_128_bits_is_refused() {
        assert!(big(true, (1 << 127) + 1).is_err());
        let magnitude = [&[0; 16][..], &[1]].concat();
        let integer = Integer::Big { negative: false, magnitude: &magnitude };
        assert_eq!(integer.fit(), Err(TermError::IntegerTooLarge { bytes: 17 }));
    }

    #[test]
    fn zeros_at_the_end_of_a_magnitude_are_ignored() {
        let magnitude = [&[5][..], &[0; 300]].concat();
        let integer = Integer::Big { negative: false, magnitude: &magnitude };
        assert_eq!(integer.fit(), Ok(Fit::U64(5)));
    }
}
