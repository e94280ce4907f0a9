//! The session token: names a session, the node where it lives, and the last batch that its client received.
//!
//! [`super::service`] verifies the token of each request and signs the next one. Each response contains a token with
//! the number of the batch in that response; a client that sends this token has received the batch. Invariant: tokens
//! are signed, so a client can name no session but its own.

use bennu_channels::token::{MaxAge, Secret, Token};
use std::time::Duration;

/// The salt of all session tokens.
const SALT: &str = "bennu long poll";

/// The content of a session token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionToken {
    pub(crate) node: String,
    pub(crate) session: String,
    /// The number of the last batch that the client received. `None` in the first token: every batch that was sent then
    /// counts as received. A client that never uses a newer token is thus served as by real Phoenix.
    pub(crate) received: Option<u64>,
}

impl SessionToken {
    /// Returns the signed token; `None` if the name of a node makes it longer than a token may be.
    pub(crate) fn sign(&self, secret: &Secret) -> Option<String> {
        Token::new(secret, SALT).no_expiry().sign(&(&self.node, &self.session, self.received)).ok()
    }

    /// Returns the content of a token that this node, or a node with the same secret, signed at most `max_age` ago.
    pub(crate) fn verify(token: &str, secret: &Secret, max_age: Duration) -> Option<Self> {
        let verified = Token::new(secret, SALT).verify_within(token, MaxAge::from(max_age));
        let (node, session, received) = verified.ok()?;
        Some(SessionToken { node, session, received })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_verified_with_its_secret_and_with_no_other() {
        let secret = Secret::new("a secret of at least twenty bytes").unwrap();
        for received in [None, Some(0), Some(u64::from(u32::MAX) + 1)] {
            let token = SessionToken { node: "a@host".to_owned(), session: "xyz".to_owned(), received };
            let signed = token.sign(&secret).unwrap();
            assert_eq!(SessionToken::verify(&signed, &secret, Duration::from_secs(60)), Some(token));
            let other = Secret::new("another secret of twenty bytes").unwrap();
            assert_eq!(SessionToken::verify(&signed, &other, Duration::from_secs(60)), None);
            assert_eq!(SessionToken::verify(&signed[1..], &secret, Duration::from_secs(60)), None);
        }
        assert_eq!(SessionToken::verify("bad", &secret, Duration::from_secs(60)), None);
    }
}
