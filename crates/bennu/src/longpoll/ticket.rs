//! The token of a session: which node it lives on, which one it is, and how far its client has read.
//!
//! Signed, so that nobody can name a session that is not theirs. Each response brings a ticket that names the batch in
//! that response; when the client presents it, it has received that batch.

use bennu_channels::token::{MaxAge, Secret, Token};
use std::time::Duration;

/// What all tokens of sessions are signed for.
const SALT: &str = "bennu long poll";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) node: String,
    pub(crate) session: String,
    /// The last batch that the client has received. `None` on the first ticket, and then whatever was sent counts as
    /// received: a client that never takes over a new ticket is served as real Phoenix serves it.
    pub(crate) received: Option<u64>,
}

impl Ticket {
    /// The token; `None` when a node's name makes it longer than a token may be.
    pub(crate) fn sign(&self, secret: &Secret) -> Option<String> {
        Token::new(secret, SALT).no_expiry().sign(&(&self.node, &self.session, self.received)).ok()
    }

    /// The ticket in a token that was signed here, or on a node with the same secret, and is not too old.
    pub(crate) fn verify(token: &str, secret: &Secret, max_age: Duration) -> Option<Self> {
        let verified = Token::new(secret, SALT).verify_within(token, MaxAge::from(max_age));
        let (node, session, received) = verified.ok()?;
        Some(Ticket { node, session, received })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_back_by_whoever_has_the_secret_and_by_nobody_else() {
        let secret = Secret::new("a secret of at least twenty bytes").unwrap();
        for received in [None, Some(0), Some(u64::from(u32::MAX) + 1)] {
            let ticket = Ticket { node: "a@host".to_owned(), session: "xyz".to_owned(), received };
            let token = ticket.sign(&secret).unwrap();
            assert_eq!(Ticket::verify(&token, &secret, Duration::from_secs(60)), Some(ticket));
            let other = Secret::new("another secret of twenty bytes").unwrap();
            assert_eq!(Ticket::verify(&token, &other, Duration::from_secs(60)), None);
            assert_eq!(Ticket::verify(&token[1..], &secret, Duration::from_secs(60)), None);
        }
        assert_eq!(Ticket::verify("bad", &secret, Duration::from_secs(60)), None);
    }
}
