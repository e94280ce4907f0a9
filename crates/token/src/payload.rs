//! The payload of a token: the value, the time of signing and the maximum age.
//!
//! The payload is one Erlang term, `{data, signed_at_in_milliseconds, max_age_in_seconds}`, where the age can be the
//! atom `infinity`. `Plug.Crypto` before 1.2 wrote `{data, signed_at}`, with one day as the age.
//! [`Token`](crate::Token) decodes a payload only after it has verified the signature or decrypted the token.
//!
//! Invariant: the age is checked before the value is decoded, so an expired token is `Expired` whether or not its value
//! has the requested type.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, Serializer};

use crate::error::TokenError;
use crate::term::{self, Head, Reader, TermError};

/// One day, Phoenix's default.
pub(crate) const ONE_DAY: Duration = Duration::from_secs(86_400);

/// The maximum age of an accepted token. A `Duration` converts into [`MaxAge::Within`].
///
/// Phoenix: the `:max_age` option of `Phoenix.Token.verify/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MaxAge {
    /// The age that is stored in the token, the default; see [`Token::max_age`](crate::Token::max_age).
    #[default]
    Stored,
    /// This age, instead of the stored one. Zero accepts no token, as in Phoenix.
    Within(Duration),
    /// No maximum. The stored age is ignored.
    Infinity,
}

impl From<Duration> for MaxAge {
    fn from(limit: Duration) -> Self {
        Self::Within(limit)
    }
}

/// The maximum age that is stored in a new token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lifetime {
    For(Duration),
    Forever,
}

/// Writes whole seconds as an integer and others as a float, as an Elixir application writes them.
impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(age) if age.subsec_nanos() == 0 => serializer.serialize_u64(age.as_secs()),
            Self::For(age) => serializer.serialize_f64(age.as_secs_f64()),
            Self::Forever => serializer.serialize_unit_variant("Lifetime", 0, "infinity"),
        }
    }
}

/// Encodes a value with its time of signing and its maximum age.
pub(crate) fn encode<T: Serialize + ?Sized>(
    data: &T,
    signed_at: SystemTime,
    lifetime: Lifetime,
) -> Result<Vec<u8>, TokenError> {
    term::to_bytes(&(data, milliseconds(signed_at), lifetime)).map_err(TokenError::Unencodable)
}

/// Returns the value of a payload that has not expired.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], max_age: MaxAge, now: SystemTime) -> Result<T, TokenError> {
    let payload = Payload::read(bytes).map_err(TokenError::Payload)?;
    let max_age_ms = match max_age {
        MaxAge::Stored => payload.max_age_ms,
        MaxAge::Within(limit) => Some(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
        MaxAge::Infinity => None,
    };
    if let Some(max_age_ms) = max_age_ms {
        check_age(payload.signed_at_ms, max_age_ms, milliseconds(now))?;
    }
    term::from_inner_bytes(payload.data).map_err(TokenError::Payload)
}

/// Applies Phoenix's rule: a token whose age equals the limit is accepted, and so is one from the future. A limit of
/// zero or less accepts none.
fn check_age(signed_at_ms: i64, max_age_ms: i64, now_ms: i64) -> Result<(), TokenError> {
    let age_ms = i128::from(now_ms) - i128::from(signed_at_ms);
    if max_age_ms > 0 && age_ms <= i128::from(max_age_ms) {
        return Ok(());
    }
    Err(TokenError::Expired {
        age: Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)),
        max_age: Duration::from_millis(u64::try_from(max_age_ms).unwrap_or(0)),
    })
}

/// A payload whose value is not decoded yet.
struct Payload<'a> {
    data: &'a [u8],
    signed_at_ms: i64,
    /// `None` for `infinity`.
    max_age_ms: Option<i64>,
}

impl<'a> Payload<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, TermError> {
        let mut reader = Reader::new(bytes);
        reader.version()?;
        let arity = match reader.head()? {
            Head::Tuple(arity @ (2 | 3)) => arity,
            _ => return Err(unexpected("{data, signed_at, max_age}")),
        };
        let data = reader.skip()?;
        let signed_at_ms = match reader.head()? {
            Head::Integer(integer) => integer.as_i64(),
            _ => None,
        }
        .ok_or_else(|| unexpected("milliseconds since 1970"))?;
        let max_age_ms = match arity {
            3 => max_age_ms(reader.head()?)?,
            _ => Some(ONE_DAY.as_millis() as i64),
        };
        match reader.rest().len() {
            0 => Ok(Self { data, signed_at_ms, max_age_ms }),
            left => Err(TermError::TrailingBytes(left)),
        }
    }
}

fn max_age_ms(head: Head<'_>) -> Result<Option<i64>, TermError> {
    match head {
        Head::Integer(seconds) => seconds
            .as_i64()
            .map(|seconds| Some(seconds.saturating_mul(1000)))
            .ok_or_else(|| unexpected("a maximum age of 64 bits")),
        // The cast truncates, as Phoenix does. It also saturates.
        Head::Float(seconds) => Ok(Some((seconds * 1000.0) as i64)),
        Head::Atom(text) if text == "infinity" => Ok(None),
        _ => Err(unexpected("a maximum age in seconds, or infinity")),
    }
}

fn unexpected(expected: &str) -> TermError {
    TermError::Custom(format!("the term is not the payload of a token: expected {expected}"))
}

/// Returns the milliseconds since 1970. The result saturates 292 million years before and after.
fn milliseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Decodes any term as a payload. A holder of the secret can sign any term.
    fn decode_term<T: Serialize>(payload: T, now: u64) -> Result<u8, TokenError> {
        decode(&term::to_bytes(&payload).unwrap(), MaxAge::Stored, at(now))
    }

    #[test]
    fn a_payload_without_an_age_expires_after_one_day() {
        assert_eq!(decode_term((7, 1_000_000), 1_000 + 86_400), Ok(7));
        let late = decode_term((7, 1_000_000), 1_000 + 86_401);
        assert!(matches!(late, Err(TokenError::Expired { max_age: ONE_DAY, .. })));
    }

    #[test]
    fn an_age_is_any_number_that_elixir_accepts() {
        assert_eq!(decode_term((7, 0, 1.5), 1), Ok(7));
        assert!(matches!(decode_term((7, 0, 1.5), 2), Err(TokenError::Expired { .. })));
        assert_eq!(decode_term((7, 0, f64::MAX), 1 << 40), Ok(7));
        assert_eq!(decode_term((7, 0, i64::MAX), 1 << 40), Ok(7));
        for none in [-1, i64::MIN] {
            assert!(matches!(decode_term((7, 0, none), 0), Err(TokenError::Expired { .. })));
        }
    }

    #[test]
    fn a_term_that_is_not_a_payload_is_refused() {
        let refused = |result| assert!(matches!(result, Err(TokenError::Payload(_))), "{result:?}");
        refused(decode_term(7, 0));
        refused(decode_term((7,), 0));
        refused(decode_term((7, "now"), 0));
        refused(decode_term((7, 0, ()), 0));
        refused(decode_term((7, 0, u64::MAX), 0));
        refused(decode_term((7, u128::MAX, 60), 0));
        refused(decode_term((7, 0, 60, 0), 0));
        let trailing = [term::to_bytes(&(7, 0)).unwrap(), vec![106]].concat();
        refused(decode(&trailing, MaxAge::Stored, at(0)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let tuple = [&[131, 104, 3][..], &bytes].concat();
            let _ = decode::<IgnoredAny>(&tuple, MaxAge::Stored, at(0));
            let _ = decode::<IgnoredAny>(&bytes, MaxAge::Stored, at(0));
        }

        #[test]
        fn arbitrary_numbers_in_a_payload_never_overflow(signed_at: i64, max_age: i64, now: u32) {
            let _ = decode_term((7, signed_at, max_age), now.into());
        }
    }
}
