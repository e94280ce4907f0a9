//! Phoenix.Token for Rust: a value, signed or encrypted, that a client carries and only the server can issue.
//!
//! ```
//! use bennu_token::{Secret, Token, TokenError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::new("gLYbmGnPdK2vuwEpmKkWMGN2yX3rjEcm0B9Q4sdvDSU")?;
//! let token = Token::new(&secret, "user socket");
//!
//! // When the page is rendered, sign the id of the user.
//! let text = token.sign(&42_u64)?;
//!
//! // When the socket connects, verify the token and read the id.
//! let user_id: u64 = token.verify(&text)?;
//! assert_eq!(user_id, 42);
//!
//! // A token for another purpose, a changed token and an expired token are refused.
//! let other = Token::new(&secret, "password reset");
//! assert!(matches!(other.verify::<u64>(&text), Err(TokenError::Invalid)));
//! # Ok(())
//! # }
//! ```
//!
//! The text of a token is that of `Phoenix.Token` (`Plug.Crypto` 2.x) for the same value. An Elixir application and a
//! Rust application that share `secret_key_base` accept each other's tokens. Rotation is an addition to Phoenix:
//! [`Secret::also_accept`] keeps the tokens of the previous secret valid.
//!
//! # Contents of a token
//!
//! A token has three parts: the value, as an Erlang term ([`term`] lists the term of each Rust type); the time of
//! signing, in milliseconds since 1970; and the maximum age ([`Token::max_age`], one day by default). Everybody who
//! holds a signed token can read it. Use [`Token::encrypt`] for values that the client must not see.
//!
//! # Stricter than Phoenix
//!
//! - A token longer than [`Token::MAX_LENGTH`] (64 KiB) is refused before any work is done for it.
//! - An empty token is [`TokenError::Missing`], like an absent one. Phoenix returns `:invalid`.
//! - Only `HS256` signatures and `XCP` encryption are accepted, the two that `Phoenix.Token` itself issues.
//!   `Plug.Crypto` also accepts HS384 and HS512 signatures, and the AES-GCM messages of its 1.x versions.
//! - Only the canonical form of base64 is accepted, so a token has no second valid spelling.
//! - Terms that carry code or belong to one node (functions, pids, references, ports), compressed terms and terms
//!   nested deeper than [`term::MAX_DEPTH`] are refused.
//! - A derived key shorter than 16 bytes is refused.

mod encryption;
mod error;
mod key;
mod keyring;
mod payload;
mod secret;
mod signature;
pub mod term;
mod token;

pub use error::{OptionError, TokenError};
pub use key::Digest;
pub use payload::MaxAge;
pub use secret::{Secret, SecretError};
pub use token::Token;
