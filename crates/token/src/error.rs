//! What can go wrong with a token, and whose fault it is.
//!
//! Everything in this crate that makes or reads a token ends in [`TokenError`]. The variants fall into three
//! groups that a caller treats differently, and [`TokenError::is_refusal`] tells the first from the others:
//! the client's token is not acceptable; the application asked for something impossible; the machine failed.

use std::time::Duration;

use crate::term::TermError;

/// Why a token could not be made, or was not accepted.
///
/// No message contains the token, the secret, or any of the value (but for what a type's own `Deserialize` quotes),
/// so that all of them may be logged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no token: the text is empty.
    #[error("the token is missing")]
    Missing,

    /// The text is no token of this secret, salt and kind: made with others, changed, or not a token at all.
    #[error("the token is invalid")]
    Invalid,

    /// The token is genuine, but too old.
    #[error("the token has expired: it is {age:?} old, and its limit is {max_age:?}")]
    Expired {
        /// How long ago it was signed; zero if it claims to come from the future.
        age: Duration,
        /// How old it may be.
        max_age: Duration,
    },

    /// The text to be read is longer than a token may be.
    #[error("a token of {length} bytes is longer than the limit of {limit} bytes")]
    TooLong {
        /// Length of the text in bytes.
        length: usize,
        /// [`Token::MAX_LENGTH`](crate::Token::MAX_LENGTH).
        limit: usize,
    },

    /// The token is genuine, but what it holds is not the type that was asked for.
    #[error("the token is genuine, but holds something else: {0}")]
    Payload(TermError),

    /// The value to be signed has no form as an Erlang term.
    #[error("the value cannot be put into a token: {0}")]
    Unencodable(TermError),

    /// The value to be signed makes a longer token than is accepted again.
    #[error("the value makes a token of {length} bytes, and the limit is {limit} bytes")]
    ValueTooLarge {
        /// Length of the token in bytes.
        length: usize,
        /// [`Token::MAX_LENGTH`](crate::Token::MAX_LENGTH).
        limit: usize,
    },

    /// An option of the [`Token`](crate::Token) is out of its bounds.
    #[error(transparent)]
    Option(#[from] OptionError),

    /// The operating system gave no random bytes for the nonce of an encrypted token.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

impl TokenError {
    /// Whether the token is to blame: answer its sender with a refusal (HTTP 401 or 403).
    ///
    /// Otherwise the application or the machine is, and the sender can do nothing about it (HTTP 500).
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Missing | Self::Invalid | Self::Expired { .. } | Self::TooLong { .. } | Self::Payload(_) => true,
            Self::Unencodable(_) | Self::ValueTooLarge { .. } | Self::Option(_) | Self::Random(_) => false,
        }
    }
}

/// An option of a [`Token`](crate::Token) that cannot be used.
///
/// Options are checked when the token is made or read, not when they are set, so that setting them chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// See [`Token::iterations`](crate::Token::iterations).
    #[error("{iterations} key iterations: must be from 1 to {limit}")]
    Iterations {
        /// What was set.
        iterations: u32,
        /// The most that is allowed.
        limit: u32,
    },

    /// See [`Token::key_length`](crate::Token::key_length).
    #[error("a key length of {length} bytes: must be from {min} to {max}")]
    KeyLength {
        /// What was set, in bytes.
        length: usize,
        /// The least that is allowed, in bytes.
        min: usize,
        /// The most that is allowed, in bytes.
        max: usize,
    },
}
