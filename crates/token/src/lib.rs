//! Phoenix.Token for Rust: a value, signed or encrypted, that a client carries and only the server can make.
//!
//! ```
//! use bennu_token::{Secret, Token, TokenError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::new("gLYbmGnPdK2vuwEpmKkWMGN2yX3rjEcm0B9Q4sdvDSU")?;
//! let token = Token::new(&secret, "user socket");
//!
//! // When the page is rendered: who is this?
//! let text = token.sign(&42_u64)?;
//!
//! // When the socket connects: is it still so?
//! let user_id: u64 = token.verify(&text)?;
//! assert_eq!(user_id, 42);
//!
//! // A token made for another purpose, changed, or too old is refused.
//! let other = Token::new(&secret, "password reset");
//! assert!(matches!(other.verify::<u64>(&text), Err(TokenError::Invalid)));
//! # Ok(())
//! # }
//! ```
//!
//! The text is what `Phoenix.Token` (`Plug.Crypto` 2.x) makes of the same value, so that an Elixir
//! application and a Rust one that share `secret_key_base` accept each other's tokens. What Phoenix has
//! not is rotation: [`Secret::also_accept`] keeps the tokens of the previous secret alive.
//!
//! # What a token holds
//!
//! Three things: the value, as an Erlang term ([`term`] says which Rust type becomes which); when it was
//! signed, in milliseconds since 1970; and how long it is meant to live ([`Token::max_age`], one day
//! unless set). A signed token can be read by anybody who holds it; use [`Token::encrypt`] for what the
//! client must not see.
//!
//! # Where this is stricter than Phoenix
//!
//! - A token longer than [`Token::MAX_LENGTH`] (64 KiB) is refused before any work is done for it.
//! - An empty token is [`TokenError::Missing`], as an absent one is (Phoenix: `:invalid`).
//! - Only what `Phoenix.Token` itself mints is accepted: `HS256` signatures and `XCP` encryption. (`Plug.Crypto`
//!   also takes HS384 and HS512 signatures, and the AES-GCM messages of its 1.x versions.)
//! - Base64 is accepted in its one canonical form, so that no second spelling of a token is valid.
//! - Terms that carry code or belong to one node (functions, pids, references, ports), compressed terms and
//!   terms nested deeper than [`term::MAX_DEPTH`] are refused.
//! - A derived key shorter than 16 bytes is refused.

mod encrypted;
mod envelope;
mod error;
mod key;
mod keyring;
mod secret;
mod signed;
pub mod term;
mod token;

pub use envelope::MaxAge;
pub use error::{OptionError, TokenError};
pub use key::Digest;
pub use secret::{Secret, SecretError};
pub use token::Token;
