//! The errors of tokens, grouped by fault.
//!
//! Every function of [`Token`](crate::Token) returns [`TokenError`]. A variant is the client's fault (its token is not
//! accepted), the application's fault (a value or an option is not possible), or a failure of the machine.
//! [`TokenError::is_refusal`] returns `true` for the first group.

use std::time::Duration;

use crate::term::TermError;

/// A token that could not be issued, or was not accepted.
///
/// All messages are safe to log: none contains the token, the secret or the value. The exception is a text that the
/// `Deserialize` implementation of a type writes itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The text is empty, so there is no token.
    #[error("the token is missing")]
    Missing,

    /// The text is not a token of this secret, salt and kind. It was issued with others, was changed, or is not a
    /// token.
    #[error("the token is invalid")]
    Invalid,

    /// The token is genuine, but older than its maximum age.
    #[error("the token has expired: it is {age:?} old, the limit is {max_age:?}")]
    Expired {
        /// The time since the signing; zero for a token from the future.
        age: Duration,
        /// The maximum age.
        max_age: Duration,
    },

    /// The text is longer than any token.
    #[error("a token of {length} bytes is longer than the limit of {limit} bytes")]
    TooLong {
        /// The length of the text in bytes.
        length: usize,
        /// [`Token::MAX_LENGTH`](crate::Token::MAX_LENGTH).
        limit: usize,
    },

    /// The token is genuine, but its value does not have the requested type.
    #[error("the token is genuine, but its value does not have the requested type: {0}")]
    Payload(TermError),

    /// The value has no Erlang term.
    #[error("could not write the value as an Erlang term: {0}")]
    Unencodable(TermError),

    /// The value makes a token that is longer than any accepted token.
    #[error("could not issue a token of {length} bytes, the limit is {limit}; sign a smaller value, such as an id")]
    ValueTooLarge {
        /// The length of the token in bytes.
        length: usize,
        /// [`Token::MAX_LENGTH`](crate::Token::MAX_LENGTH).
        limit: usize,
    },

    /// An option of the [`Token`](crate::Token) is out of its bounds.
    #[error(transparent)]
    Option(#[from] OptionError),

    /// The operating system has no random bytes for the nonce of an encrypted token.
    #[error("could not read random bytes from the operating system: {0}")]
    Random(String),
}

impl TokenError {
    /// Whether the token is at fault. Reply to its sender with a refusal (HTTP 401 or 403).
    ///
    /// All other errors are faults of the application or of the machine (HTTP 500).
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Missing | Self::Invalid | Self::Expired { .. } | Self::TooLong { .. } | Self::Payload(_) => true,
            Self::Unencodable(_) | Self::ValueTooLarge { .. } | Self::Option(_) | Self::Random(_) => false,
        }
    }
}

/// An option of a [`Token`](crate::Token) that is out of its bounds.
///
/// Options are checked when a token is issued or verified, not when they are set, so calls that set them can be
/// chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// See [`Token::iterations`](crate::Token::iterations).
    #[error("{iterations} key iterations are not allowed: the number must be from 1 to {limit}")]
    Iterations {
        /// The number of iterations.
        iterations: u32,
        /// The maximum.
        limit: u32,
    },

    /// See [`Token::key_length`](crate::Token::key_length).
    #[error("a key length of {length} bytes is not allowed: it must be from {min} to {max}")]
    KeyLength {
        /// The key length in bytes.
        length: usize,
        /// The minimum in bytes.
        min: usize,
        /// The maximum in bytes.
        max: usize,
    },
}
