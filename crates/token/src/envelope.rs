//! What every token carries around its value: when it was signed, and how long it is meant to live.
//!
//! `{data, signed_at_in_milliseconds, max_age_in_seconds}` as one Erlang term, where the age may be the atom
//! `infinity`; `Plug.Crypto` before 1.2 wrote `{data, signed_at}`, and meant one day. Called by
//! [`Token`](crate::Token) with bytes that a signature has already vouched for.
//!
//! Invariant: the age is checked before the value is decoded, so that an expired token is `Expired` whatever it
//! holds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, Serializer};

use crate::error::TokenError;
use crate::term::{self, Head, Reader, TermError};

/// One day, Phoenix's default.
pub(crate) const ONE_DAY: Duration = Duration::from_secs(86_400);

/// How old a token may be to be accepted. A `Duration` turns into [`MaxAge::Within`] by itself.
///
/// Phoenix: the `:max_age` option of `Phoenix.Token.verify/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MaxAge {
    /// As old as it was allowed to be when it was made, the default: see [`Token::max_age`](crate::Token::max_age).
    #[default]
    Stored,
    /// As old as this, whatever the token says. Zero accepts nothing, as in Phoenix.
    Within(Duration),
    /// Of any age, whatever the token says.
    Infinity,
}

impl From<Duration> for MaxAge {
    fn from(limit: Duration) -> Self {
        Self::Within(limit)
    }
}

/// The life that a token is given when it is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lifetime {
    For(Duration),
    Forever,
}

/// Whole seconds are an integer, others a float, as an Elixir application would have given them.
impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(age) if age.subsec_nanos() == 0 => serializer.serialize_u64(age.as_secs()),
            Self::For(age) => serializer.serialize_f64(age.as_secs_f64()),
            Self::Forever => serializer.serialize_unit_variant("Lifetime", 0, "infinity"),
        }
    }
}

/// Puts a value into its envelope.
pub(crate) fn seal<T: Serialize + ?Sized>(
    data: &T,
    signed_at: SystemTime,
    lifetime: Lifetime,
) -> Result<Vec<u8>, TokenError> {
    term::to_bytes(&(data, milliseconds(signed_at), lifetime)).map_err(TokenError::Unencodable)
}

/// Takes the value out, if it is not too old.
pub(crate) fn open<T: DeserializeOwned>(payload: &[u8], max_age: MaxAge, now: SystemTime) -> Result<T, TokenError> {
    let envelope = Envelope::read(payload).map_err(TokenError::Payload)?;
    let max_age_ms = match max_age {
        MaxAge::Stored => envelope.max_age_ms,
        MaxAge::Within(limit) => Some(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
        MaxAge::Infinity => None,
    };
    if let Some(max_age_ms) = max_age_ms {
        check_age(envelope.signed_at_ms, max_age_ms, milliseconds(now))?;
    }
    term::from_inner_bytes(envelope.data).map_err(TokenError::Payload)
}

/// Phoenix's rule: a token as old as its limit is still good, one from the future is, and a limit of zero or less
/// accepts none.
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

/// An envelope whose value is not decoded yet.
struct Envelope<'a> {
    data: &'a [u8],
    signed_at_ms: i64,
    /// `None` is for ever.
    max_age_ms: Option<i64>,
}

impl<'a> Envelope<'a> {
    fn read(payload: &'a [u8]) -> Result<Self, TermError> {
        let mut reader = Reader::new(payload);
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
        // The cast truncates, as Phoenix does, and saturates.
        Head::Float(seconds) => Ok(Some((seconds * 1000.0) as i64)),
        Head::Atom(text) if text == "infinity" => Ok(None),
        _ => Err(unexpected("a maximum age in seconds, or infinity")),
    }
}

fn unexpected(wanted: &str) -> TermError {
    TermError::Custom(format!("not the envelope of a token: expected {wanted}"))
}

/// Milliseconds since 1970, saturating 292 million years from there.
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

    /// Opens a value in place of an envelope, as a holder of the secret could have signed it.
    fn open_term<T: Serialize>(envelope: T, now: u64) -> Result<u8, TokenError> {
        open(&term::to_bytes(&envelope).unwrap(), MaxAge::Stored, at(now))
    }

    #[test]
    fn an_envelope_without_an_age_means_one_day() {
        assert_eq!(open_term((7, 1_000_000), 1_000 + 86_400), Ok(7));
        let late = open_term((7, 1_000_000), 1_000 + 86_401);
        assert!(matches!(late, Err(TokenError::Expired { max_age: ONE_DAY, .. })));
    }

    #[test]
    fn an_age_may_be_any_number_elixir_takes() {
        assert_eq!(open_term((7, 0, 1.5), 1), Ok(7));
        assert!(matches!(open_term((7, 0, 1.5), 2), Err(TokenError::Expired { .. })));
        assert_eq!(open_term((7, 0, f64::MAX), 1 << 40), Ok(7));
        assert_eq!(open_term((7, 0, i64::MAX), 1 << 40), Ok(7));
        for none in [-1, i64::MIN] {
            assert!(matches!(open_term((7, 0, none), 0), Err(TokenError::Expired { .. })));
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let refused = |result| assert!(matches!(result, Err(TokenError::Payload(_))), "{result:?}");
        refused(open_term(7, 0));
        refused(open_term((7,), 0));
        refused(open_term((7, "now"), 0));
        refused(open_term((7, 0, ()), 0));
        refused(open_term((7, 0, u64::MAX), 0));
        refused(open_term((7, u128::MAX, 60), 0));
        refused(open_term((7, 0, 60, 0), 0));
        let trailing = [term::to_bytes(&(7, 0)).unwrap(), vec![106]].concat();
        refused(open(&trailing, MaxAge::Stored, at(0)));
    }

    proptest! {
        #[test]
        fn whatever_was_signed_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let envelope = [&[131, 104, 3][..], &bytes].concat();
            let _ = open::<IgnoredAny>(&envelope, MaxAge::Stored, at(0));
            let _ = open::<IgnoredAny>(&bytes, MaxAge::Stored, at(0));
        }

        #[test]
        fn any_numbers_in_an_envelope_never_overflow(signed_at: i64, max_age: i64, now: u32) {
            let _ = open_term((7, signed_at, max_age), now.into());
        }
    }
}
