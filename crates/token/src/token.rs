//! The builder that users hold: one purpose (a secret and a salt), and what to do with its tokens.
//!
//! Owns nothing but options. Asks `keyring` for keys, wraps values in an `envelope`, and has `signed` or
//! `encrypted` turn that into text; [`TokenError`] says why not.
//!
//! Invariants, in the order of the work: a text is measured before anything is computed for it; a signature is
//! checked before a byte of what it signs is decoded.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{self, Lifetime, MaxAge};
use crate::error::TokenError;
use crate::key::{Digest, KeyOptions};
use crate::secret::Secret;
use crate::{encrypted, signed};

/// Makes and checks the tokens of one purpose.
///
/// Phoenix: `Phoenix.Token`. The options have Phoenix's defaults; both sides must agree on those of the key, and
/// on the salt. A `Token` borrows the secret and is cheap to make: make one where it is needed.
///
/// Keys are derived by PBKDF2, which takes a fraction of a millisecond once for each salt; the secret remembers them.
/// A signed token is then made or checked in less than 1 µs, an encrypted one in 3 µs (measured 2026-11-20).
///
/// ```
/// use bennu_token::{Secret, Token};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Cart { items: Vec<u64> }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = Secret::new("gLYbmGnPdK2vuwEpmKkWMGN2yX3rjEcm0B9Q4sdvDSU")?;
/// let carts = Token::new(&secret, "shopping cart").max_age(7 * Token::ONE_DAY);
/// let text = carts.encrypt(&Cart { items: vec![3, 1, 2] })?;
/// let cart: Cart = carts.decrypt(&text)?;
/// assert_eq!(cart.items, [3, 1, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    secret: &'a Secret,
    salt: &'a str,
    key: KeyOptions,
    lifetime: Lifetime,
}

/// The purpose and the options.
impl<'a> Token<'a> {
    /// 3 600 s.
    pub const ONE_HOUR: Duration = Duration::from_secs(3_600);

    /// 86 400 s: how long a token lives unless told otherwise, as in Phoenix.
    pub const ONE_DAY: Duration = envelope::ONE_DAY;

    /// 14 days of 86 400 s, an ordinary age for a "remember me".
    pub const TWO_WEEKS: Duration = Duration::from_secs(14 * 86_400);

    /// The longest token in bytes that is made or looked at: 64 KiB. Headers and query strings, in which tokens
    /// travel, end far below it in most servers.
    pub const MAX_LENGTH: usize = 64 * 1024;

    /// Tokens for one purpose, which the salt names: `"user socket"`.
    ///
    /// The salt is no secret. It keeps a token for one purpose from being accepted for another, so it should be a
    /// constant of the program, never something a client sent.
    pub fn new(secret: &'a Secret, salt: &'a str) -> Self {
        Self { secret, salt, key: KeyOptions::default(), lifetime: Lifetime::For(Self::ONE_DAY) }
    }

    /// The hash that the key is derived with; [`Digest::Sha256`] by default. Phoenix: `:key_digest`.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.key.digest = digest;
        self
    }

    /// How many PBKDF2 iterations derive the key: 1000 by default, from 1 to 10 million. Phoenix:
    /// `:key_iterations`.
    ///
    /// A random secret needs no more; the number is checked when a token is made or read.
    #[must_use]
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.key.iterations = iterations;
        self
    }

    /// How many bytes the key has: 32 by default, from 16 to 1024, and exactly 32 to encrypt. Phoenix:
    /// `:key_length`.
    ///
    /// The number is checked when a token is made or read.
    #[must_use]
    pub fn key_length(mut self, bytes: usize) -> Self {
        self.key.length = bytes;
        self
    }

    /// How long the tokens made are meant to live: [`Token::ONE_DAY`] by default. Phoenix: `:max_age` of
    /// `sign/4`.
    ///
    /// It is written into the token, in seconds, and holds unless [`verify_within`](Self::verify_within) says
    /// otherwise. Zero makes tokens that have expired already.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.lifetime = Lifetime::For(age);
        self
    }

    /// The tokens made never expire by themselves. Phoenix: `max_age: :infinity`.
    #[must_use]
    pub fn no_expiry(mut self) -> Self {
        self.lifetime = Lifetime::Forever;
        self
    }
}

/// Signed tokens: whoever holds one can read it, and nobody can change it.
impl Token<'_> {
    /// Makes a signed token. Phoenix: `sign/4`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unencodable`] if the value has no Erlang form, [`TokenError::ValueTooLarge`] if it makes a token
    /// of more than [`Token::MAX_LENGTH`] bytes, [`TokenError::Option`] if an option is out of bounds.
    pub fn sign<T: Serialize + ?Sized>(&self, data: &T) -> Result<String, TokenError> {
        self.sign_at(data, SystemTime::now())
    }

    /// Like [`sign`](Self::sign), as if signed at another time (to the millisecond). Phoenix: `:signed_at`.
    ///
    /// # Errors
    ///
    /// Those of [`sign`](Self::sign).
    pub fn sign_at<T: Serialize + ?Sized>(&self, data: &T, signed_at: SystemTime) -> Result<String, TokenError> {
        self.key.check()?;
        let payload = envelope::seal(data, signed_at, self.lifetime)?;
        let key = self.secret.keyring().newest(self.salt, self.key);
        within_length(signed::seal(&payload, &key))
    }

    /// The value of a signed token, if it is genuine and no older than it was meant to become. Phoenix:
    /// `verify/4`.
    ///
    /// An absent token is an empty one: `token.verify::<u64>(parameter.unwrap_or_default())`.
    ///
    /// A token from the future (the clocks of two servers differ) has not expired, as in Phoenix.
    ///
    /// # Errors
    ///
    /// [`TokenError::Missing`] for an empty text, [`TokenError::TooLong`] beyond [`Token::MAX_LENGTH`],
    /// [`TokenError::Invalid`] if this secret, salt and options never signed it, [`TokenError::Expired`],
    /// [`TokenError::Payload`] if the value is not a `T`, [`TokenError::Option`] if an option is out of bounds.
    pub fn verify<T: DeserializeOwned>(&self, text: &str) -> Result<T, TokenError> {
        self.verify_at(text, MaxAge::Stored, SystemTime::now())
    }

    /// Like [`verify`](Self::verify), with a limit on the age in place of the token's own. Phoenix: `:max_age` of
    /// `verify/4`.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn verify_within<T: DeserializeOwned>(&self, text: &str, max_age: impl Into<MaxAge>) -> Result<T, TokenError> {
        self.verify_at(text, max_age, SystemTime::now())
    }

    /// Like [`verify_within`](Self::verify_within), as if it were another time: for tests.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn verify_at<T: DeserializeOwned>(
        &self,
        text: &str,
        max_age: impl Into<MaxAge>,
        now: SystemTime,
    ) -> Result<T, TokenError> {
        self.key.check()?;
        check_text(text)?;
        let keys = self.secret.keyring().keys(self.salt, self.key);
        let payload = signed::open(text, keys).ok_or(TokenError::Invalid)?;
        envelope::open(&payload, max_age.into(), now)
    }
}

/// Encrypted tokens: only the server can read them.
impl Token<'_> {
    /// Makes an encrypted token. Phoenix: `encrypt/4`.
    ///
    /// # Errors
    ///
    /// Those of [`sign`](Self::sign), and [`TokenError::Random`] if the operating system has no random bytes.
    pub fn encrypt<T: Serialize + ?Sized>(&self, data: &T) -> Result<String, TokenError> {
        self.encrypt_at(data, SystemTime::now())
    }

    /// Like [`encrypt`](Self::encrypt), as if made at another time (to the millisecond).
    ///
    /// # Errors
    ///
    /// Those of [`encrypt`](Self::encrypt).
    pub fn encrypt_at<T: Serialize + ?Sized>(&self, data: &T, signed_at: SystemTime) -> Result<String, TokenError> {
        self.check_cipher_key()?;
        let payload = envelope::seal(data, signed_at, self.lifetime)?;
        let key = self.secret.keyring().newest(self.salt, self.key);
        within_length(encrypted::seal(payload, &key)?)
    }

    /// The value of an encrypted token, if it is genuine and no older than it was meant to become. Phoenix:
    /// `decrypt/4`.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn decrypt<T: DeserializeOwned>(&self, text: &str) -> Result<T, TokenError> {
        self.decrypt_at(text, MaxAge::Stored, SystemTime::now())
    }

    /// Like [`decrypt`](Self::decrypt), with a limit on the age in place of the token's own.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn decrypt_within<T: DeserializeOwned>(&self, text: &str, max_age: impl Into<MaxAge>) -> Result<T, TokenError> {
        self.decrypt_at(text, max_age, SystemTime::now())
    }

    /// Like [`decrypt_within`](Self::decrypt_within), as if it were another time: for tests.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn decrypt_at<T: DeserializeOwned>(
        &self,
        text: &str,
        max_age: impl Into<MaxAge>,
        now: SystemTime,
    ) -> Result<T, TokenError> {
        self.check_cipher_key()?;
        check_text(text)?;
        let keys = self.secret.keyring().keys(self.salt, self.key);
        let payload = encrypted::open(text, keys).ok_or(TokenError::Invalid)?;
        envelope::open(&payload, max_age.into(), now)
    }

    fn check_cipher_key(&self) -> Result<(), TokenError> {
        self.key.check()?;
        self.key.check_length(encrypted::KEY_LENGTH, encrypted::KEY_LENGTH)?;
        Ok(())
    }
}

/// Looks at a text to be read, before anything is computed for it.
fn check_text(text: &str) -> Result<(), TokenError> {
    match text.len() {
        0 => Err(TokenError::Missing),
        1..=Token::MAX_LENGTH => Ok(()),
        length => Err(TokenError::TooLong { length, limit: Token::MAX_LENGTH }),
    }
}

/// Lets out only what [`check_text`] will let in again.
fn within_length(text: String) -> Result<String, TokenError> {
    match text.len() {
        0..=Token::MAX_LENGTH => Ok(text),
        length => Err(TokenError::ValueTooLarge { length, limit: Token::MAX_LENGTH }),
    }
}
