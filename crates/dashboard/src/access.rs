//! Access control of a dashboard. The page and its socket check each request with it.

use axum::http::HeaderMap;
use std::fmt;
use subtle::ConstantTimeEq;

/// The rule that admits requests to a dashboard.
pub struct Access(Rule);

enum Rule {
    Token(String),
    Check(Box<dyn Fn(&HeaderMap) -> bool + Send + Sync>),
    Everyone,
    Nobody,
}

impl Access {
    /// Admits requests with this token: the page is at `/dashboard?token=…`. Tokens are compared in constant time and
    /// never logged by Bennu; a proxy in front of the server may log URLs. An empty token admits no request.
    pub fn token(token: impl Into<String>) -> Self {
        match token.into() {
            token if token.is_empty() => Access(Rule::Nobody),
            token => Access(Rule::Token(token)),
        }
    }

    /// Admits requests that pass this check. The check receives the headers of the request for the page and of the
    /// socket's handshake, with a session cookie or a header from a proxy for example.
    pub fn check(check: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        Access(Rule::Check(Box::new(check)))
    }

    /// Admits every request: for a server on the loopback address, or a router behind your own layer.
    pub fn everyone() -> Self {
        Access(Rule::Everyone)
    }

    pub(crate) fn admits(&self, token: Option<&str>, headers: &HeaderMap) -> bool {
        match &self.0 {
            Rule::Token(expected) => token.is_some_and(|token| bool::from(token.as_bytes().ct_eq(expected.as_bytes()))),
            Rule::Check(check) => check(headers),
            Rule::Everyone => true,
            Rule::Nobody => false,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Token(_) => "Access::token(..)",
            Rule::Check(_) => "Access::check(..)",
            Rule::Everyone => "Access::everyone()",
            Rule::Nobody => "Access(nobody)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_only_requests_with_it_and_an_empty_token_none() {
        let none = HeaderMap::new();
        let access = Access::token("open sesame");
        assert!(access.admits(Some("open sesame"), &none));
        for wrong in [None, Some(""), Some("open sesam"), Some("open sesame!")] {
            assert!(!access.admits(wrong, &none), "{wrong:?}");
        }
        assert!(!Access::token("").admits(Some(""), &none));
        assert!(!format!("{access:?}").contains("sesame"));
    }

    #[test]
    fn a_check_receives_the_headers() {
        let access = Access::check(|headers| headers.get("x-role").is_some_and(|role| role == "operator"));
        let operator = HeaderMap::from_iter([("x-role".parse().unwrap(), "operator".parse().unwrap())]);
        assert!(access.admits(None, &operator) && !access.admits(Some("operator"), &HeaderMap::new()));
    }
}
