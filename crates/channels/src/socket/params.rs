//! The parameters of a connection: the query of the handshake, or those that a test sets.

use crate::telemetry::{FILTERED, Filtered};
use percent_encoding::percent_decode_str;
use std::fmt;

/// Decoded key-value pairs. The last value of a repeated key counts, as in Plug.
///
/// ```
/// use bennu_channels::Params;
///
/// let params: Params = [("vsn", "2.0.0"), ("user", "7")].into_iter().collect();
/// assert_eq!(params.get("user"), Some("7"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

/// A parameter that a socket needs and its client has not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {0:?} is missing")]
pub struct MissingParam(pub String);

/// A query that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {0:?} is not UTF-8 once its percent signs are decoded")]
pub struct MalformedQuery(pub String);

impl Params {
    /// Reads a query string. A `%` that begins no escape stands for itself.
    ///
    /// # Errors
    /// [`MalformedQuery`] when a decoded escape is not UTF-8.
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

    /// Returns the value of a parameter. `key[]=v` and `key[x]=v` are other keys than `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Returns whether the client has sent a nested value for a key, as in `key[]=v`.
    pub fn is_nested(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('[')))
    }

    /// Returns all pairs, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Params(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// Shows the keys only, since values may be secrets. Logs contain filtered values instead.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl fmt::Debug for Filtered<'_, Params> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(key, value)| (key, if self.is_sensitive(key) { FILTERED } else { value });
        f.debug_map().entries(self.value.iter().map(shown)).finish()
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

    #[test]
    fn sensitive_values_are_filtered() {
        let params = Params::from_iter([("token", "secret"), ("vsn", "2.0.0")]);
        let names = ["password".to_owned(), "token".to_owned()];
        let shown = format!("{:?}", Filtered { value: &params, names: &names });
        assert_eq!(shown, r#"{"token": "[FILTERED]", "vsn": "2.0.0"}"#);
    }
}
