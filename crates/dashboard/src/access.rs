//! Who may look: asked by the page and by its socket.

use axum::http::HeaderMap;
use std::fmt;
use subtle::ConstantTimeEq;

/// Says who may look at a dashboard.
pub struct Access(Rule);

enum Rule {
    Token(String),
    Check(Box<dyn Fn(&HeaderMap) -> bool + Send + Sync>),
    Everyone,
    Nobody,
}

impl Access {
    /// Whoever knows this: the page is at `/dashboard?token=…`. It is compared in constant time, and appears in no log of
    /// Bennu's; what stands before the server may log addresses. An empty token lets nobody in.
    pub fn token(token: impl Into<String>) -> Self {
        match token.into() {
            token if token.is_empty() => Access(Rule::Nobody),
            token => Access(Rule::Token(token)),
        }
    }

    /// Whoever this check lets in, by the headers of the request for the page and of the socket's handshake: a session
    /// cookie, or what a proxy has added.
    pub fn check(check: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        Access(Rule::Check(Box::new(check)))
    }

    /// Whoever can reach the router: for a server on the loopback address, or a router that your own layer guards.
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
    fn a_token_lets_in_who_knows_it_and_an_empty_one_nobody() {
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
    fn a_check_sees_the_headers() {
        let access = Access::check(|headers| headers.get("x-role").is_some_and(|role| role == "operator"));
        let operator = HeaderMap::from_iter([("x-role".parse().unwrap(), "operator".parse().unwrap())]);
        assert!(access.admits(None, &operator) && !access.admits(Some("operator"), &HeaderMap::new()));
    }
}
