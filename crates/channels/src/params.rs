//! Parameters of a connection: the query of the handshake, or what a test gives.

use percent_encoding::percent_decode_str;
use std::fmt;

/// Decoded key-value pairs. Of a repeated key the last counts, as in Plug.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

/// A parameter that a socket needs and its client did not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {0:?} is missing")]
pub struct MissingParam(pub String);

/// A query that is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {0:?} is not UTF-8 once its percent signs are decoded")]
pub struct MalformedQuery(pub String);

impl Params {
    /// Reads a query string. A `%` that begins no escape stands for itself.
    ///
    /// # Errors
    /// [`MalformedQuery`] when an escape yields what is not UTF-8.
    pub fn from_query(query: &str) -> Result<Self, MalformedQuery> {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| MalformedQuery(text.chars().take(100).collect()))
        };
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Params(pairs))
    }

    /// The value of a parameter. `key[]=v` and `key[x]=v` are other keys than `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Whether a nested value was sent for it, as in `key[]=v`.
    pub fn is_nested(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('[')))
    }

    /// All pairs in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Params(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// The keys only: values may be secrets. Logs show filtered values instead.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_repeated_key_counts_and_odd_pairs_are_harmless() {
        let params = Params::from_query("vsn=1.0.0&vsn=2.0.0&&a&=b&c=x+y%20z&d=%zz").unwrap();
        let got: Vec<_> = ["vsn", "a", "", "c", "d", "e"].iter().map(|key| params.get(key)).collect();
        assert_eq!(got, [Some("2.0.0"), Some(""), Some("b"), Some("x y z"), Some("%zz"), None]);
    }

    #[test]
    fn an_escape_that_is_no_utf8_is_an_error() {
        assert_eq!(Params::from_query("x=%ff"), Err(MalformedQuery("%ff".to_owned())));
    }

    #[test]
    fn a_nested_key_is_another_key() {
        let params = Params::from_query("vsn[]=2.0.0").unwrap();
        assert_eq!((params.get("vsn"), params.is_nested("vsn")), (None, true));
    }
}
