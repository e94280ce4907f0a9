//! The application's secret, as its users hold it.
//!
//! Owns the rules for what may be a secret, and that one never leaks through `Debug`. The work is done by the
//! [`Keyring`] inside, which [`Token`](crate::Token) asks for keys.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::keyring::Keyring;

/// What tokens are made and checked with: Phoenix's `secret_key_base`, and older ones that are still accepted.
///
/// Cloning is cheap, and clones share the keys derived so far. `Debug` never shows the secret, and it is wiped
/// from memory when the last clone is dropped.
///
/// # Rotation
///
/// A secret is replaced without logging anybody out by accepting the old one until its last token has expired:
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
    /// The fewest bytes a secret may have: 20, as in `Phoenix.Token`. `mix phx.gen.secret` makes 64.
    pub const MIN_LENGTH: usize = 20;

    /// Takes the secret that new tokens are made with.
    ///
    /// Its strength is its randomness: use at least 32 random bytes, in any encoding. The text is used as it is,
    /// not decoded, as Phoenix does.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] below [`Secret::MIN_LENGTH`] bytes.
    pub fn new(newest: impl Into<String>) -> Result<Self, SecretError> {
        Ok(Self { keyring: Arc::new(Keyring::new(checked(newest.into())?)) })
    }

    /// Takes the secret from an environment variable: `Secret::from_env("SECRET_KEY_BASE")?`.
    ///
    /// # Errors
    ///
    /// [`SecretError`], which names the variable and says how to make a secret. `main` that returns it prints that text.
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

    /// Also accepts tokens made with an older secret; new ones are made with the newest still.
    ///
    /// May be called again for one older yet. Each costs a check of a token nobody made one HMAC more (about
    /// 0.7 µs); one that is valid under the newest secret costs nothing more.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] below [`Secret::MIN_LENGTH`] bytes.
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

/// Why there is no [`Secret`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It has too few bytes to be safe.
    #[error("a secret of {length} bytes is too short: it must have at least {limit}")]
    TooShort {
        /// Its length in bytes.
        length: usize,
        /// [`Secret::MIN_LENGTH`].
        limit: usize,
    },
    /// The environment variable has too few bytes to be safe.
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
    /// There is no such environment variable.
    #[error(
        "the environment variable {variable} is not set, it must hold the secret that tokens are signed with; \
         make one with: export {variable}=$(openssl rand -hex 32)"
    )]
    NotSet {
        /// The variable's name.
        variable: String,
    },
    /// The environment variable is not text.
    #[error("the environment variable {variable} is not UTF-8, so it cannot be a secret")]
    NotText {
        /// The variable's name.
        variable: String,
    },
}

/// As [`Display`](fmt::Display): `main` prints the error that it returns with `Debug`.
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
        assert_eq!(error.to_string(), "a secret of 19 bytes is too short: it must have at least 20");
        assert!(Secret::new("01234567890123456789").is_ok());
    }

    #[test]
    fn an_older_secret_has_to_be_as_long() {
        let secret = Secret::new("01234567890123456789").unwrap();
        assert!(matches!(secret.also_accept("short"), Err(SecretError::TooShort { length: 5, limit: 20 })));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = Secret::new("hunter2hunter2hunter2").unwrap();
        let secret = secret.also_accept("swordfish swordfish swordfish").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret { accepted: 2, .. }");
    }
}
