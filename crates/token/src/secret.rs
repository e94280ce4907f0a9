//! The application's secret.
//!
//! The application creates a [`Secret`] once. Each [`Token`](crate::Token) borrows it, and takes keys from its
//! [`Keyring`]. Invariants: a secret has at least [`Secret::MIN_LENGTH`] bytes, and `Debug` never writes it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::keyring::Keyring;

/// The secret of all tokens: Phoenix's `secret_key_base`, and older secrets that are still accepted.
///
/// Cloning is cheap, and clones share the derived keys. `Debug` never writes the secret. It is wiped from memory when
/// the last clone is dropped.
///
/// # Rotation
///
/// Clients stay logged in when a secret is replaced, if the server accepts the old one until its last token has
/// expired:
///
/// ```
/// use bennu_token::{Secret, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let old = Secret::new("the secret of last year, now replaced")?;
/// let text = Token::new(&old, "user socket").sign("blue")?;
///
/// let secret = Secret::new("the secret of this year, made at random")?
///     .also_accept("the secret of last year, now replaced")?;
/// let name: String = Token::new(&secret, "user socket").verify(&text)?;
/// assert_eq!(name, "blue");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Secret {
    keyring: Arc<Keyring>,
}

impl Secret {
    /// The minimum length of a secret in bytes: 20, as in `Phoenix.Token`. `mix phx.gen.secret` generates 64.
    pub const MIN_LENGTH: usize = 20;

    /// Creates the secret for new tokens.
    ///
    /// A secret must be random: use at least 32 random bytes, in any encoding. The text itself is the secret and is not
    /// decoded, as in Phoenix.
    ///
    /// # Errors
    ///
    /// Returns [`SecretError::TooShort`] for less than [`Secret::MIN_LENGTH`] bytes.
    pub fn new(newest: impl Into<String>) -> Result<Self, SecretError> {
        Ok(Self { keyring: Arc::new(Keyring::new(checked(newest.into())?)) })
    }

    /// Reads the secret from an environment variable: `Secret::from_env("SECRET_KEY_BASE")?`.
    ///
    /// # Errors
    ///
    /// Returns [`SecretError`] when the variable is not set, is too short or is not UTF-8. The text names the variable
    /// and has a command that generates a secret. A `main` that returns the error prints the text.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        let variable = || variable.to_owned();
        match std::env::var(variable()) {
            Ok(secret) => Secret::new(secret).map_err(|error| match error {
                SecretError::TooShort { length, limit } => {
                    SecretError::ShortVariable { variable: variable(), length, limit }
                }
                other => other,
            }),
            Err(std::env::VarError::NotPresent) => Err(SecretError::NotSet { variable: variable() }),
            Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText { variable: variable() }),
        }
    }

    /// Adds an older secret, whose tokens are accepted too. New tokens still use the newest secret.
    ///
    /// Can be called again for an even older secret. Each older secret adds one HMAC (about 0.7 µs) to the check of an
    /// invalid token, and nothing to the check of a token of the newest secret.
    ///
    /// # Errors
    ///
    /// Returns [`SecretError::TooShort`] for less than [`Secret::MIN_LENGTH`] bytes.
    pub fn also_accept(self, old: impl Into<String>) -> Result<Self, SecretError> {
        Ok(Self { keyring: Arc::new(self.keyring.with_older(checked(old.into())?)) })
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("accepted", &self.keyring.len()).finish_non_exhaustive()
    }
}

/// A text that is not accepted as a [`Secret`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The secret has too few bytes.
    #[error("a secret of {length} bytes is too short: it must have at least {limit} bytes")]
    TooShort {
        /// The secret's length in bytes.
        length: usize,
        /// [`Secret::MIN_LENGTH`].
        limit: usize,
    },
    /// The secret in the environment variable has too few bytes.
    #[error(
        "the secret in the environment variable {variable} has {length} bytes, it must have at least {limit}; \
         make one with: export {variable}=$(openssl rand -hex 32)"
    )]
    ShortVariable {
        /// The variable's name.
        variable: String,
        /// The secret's length in bytes.
        length: usize,
        /// [`Secret::MIN_LENGTH`].
        limit: usize,
    },
    /// The environment variable is not set.
    #[error(
        "the environment variable {variable} is not set, it must hold the secret that tokens are signed with; \
         make one with: export {variable}=$(openssl rand -hex 32)"
    )]
    NotSet {
        /// The variable's name.
        variable: String,
    },
    /// The environment variable is not UTF-8.
    #[error(
        "the secret in the environment variable {variable} is not UTF-8; \
         make one with: export {variable}=$(openssl rand -hex 32)"
    )]
    NotText {
        /// The variable's name.
        variable: String,
    },
}

/// Same as [`Display`](fmt::Display), because a `main` that returns the error prints it with `Debug`.
impl fmt::Debug for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn checked(secret: String) -> Result<Zeroizing<String>, SecretError> {
    let secret = Zeroizing::new(secret);
    if secret.len() < Secret::MIN_LENGTH {
        return Err(SecretError::TooShort { length: secret.len(), limit: Secret::MIN_LENGTH });
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_refused_with_its_length_and_the_limit() {
        let error = Secret::new("0123456789012345678").unwrap_err();
        assert_eq!(error.to_string(), "a secret of 19 bytes is too short: it must have at least 20 bytes");
        assert!(Secret::new("01234567890123456789").is_ok());
    }

    #[test]
    fn an_older_secret_must_have_the_minimum_length_too() {
        let secret = Secret::new("01234567890123456789").unwrap();
        assert!(matches!(secret.also_accept("short"), Err(SecretError::TooShort { length: 5, limit: 20 })));
    }

    #[test]
    fn debug_never_writes_the_secret() {
        let secret = Secret::new("hunter2hunter2hunter2").unwrap();
        let secret = secret.also_accept("swordfish swordfish swordfish").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret { accepted: 2, .. }");
    }
}
