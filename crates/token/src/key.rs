//! Deriving the key of one purpose from the one secret of an application.
//!
//! `Plug.Crypto.KeyGenerator`: PBKDF2 over HMAC, with the secret as the password and the salt as the salt. The
//! salt names a purpose (`"user socket"`), so that a token made for one is worthless for another. Called by
//! [`Keyring`](crate::keyring::Keyring) alone, which remembers the results.
//!
//! Invariant: [`KeyOptions::derive`] runs only on options that passed [`KeyOptions::check`].

use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::error::OptionError;

/// A derived key; wiped from memory when dropped.
pub(crate) type Key = Zeroizing<Box<[u8]>>;

/// More than this costs seconds of CPU a key, which is a mistake and not a setting. 10 million is 10 times what
/// OWASP (2023) recommends for the weakest passwords, and a secret is no password.
const MAX_ITERATIONS: u32 = 10_000_000;

/// A shorter key (128 bits) could be guessed.
const MIN_KEY_LENGTH: usize = 16;

/// HMAC-SHA256 hashes any key longer than its block of 64 bytes down to 32, so that more adds nothing; the rest is
/// room for a Phoenix application that has set it anyhow. Each 32 bytes cost another PBKDF2 run.
const MAX_KEY_LENGTH: usize = 1024;

/// The hash that keys are derived with. The signature itself is HMAC-SHA256 in every case.
///
/// Phoenix: `:key_digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Digest {
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How keys are derived; the defaults are Phoenix's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyOptions {
    pub(crate) digest: Digest,
    pub(crate) iterations: u32,
    /// In bytes.
    pub(crate) length: usize,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self { digest: Digest::Sha256, iterations: 1000, length: 32 }
    }
}

impl KeyOptions {
    /// Checks the bounds, once before each use.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        if self.iterations == 0 || self.iterations > MAX_ITERATIONS {
            return Err(OptionError::Iterations { iterations: self.iterations, limit: MAX_ITERATIONS });
        }
        self.check_length(MIN_KEY_LENGTH, MAX_KEY_LENGTH)
    }

    /// Checks the length against the bounds of one use (a cipher takes one length only).
    pub(crate) fn check_length(&self, min: usize, max: usize) -> Result<(), OptionError> {
        if self.length < min || self.length > max {
            return Err(OptionError::KeyLength { length: self.length, min, max });
        }
        Ok(())
    }

    /// Derives the key: 0.15 ms with the defaults (measured 2026-11-20, release build, x86-64 with SHA extensions),
    /// several times that without such a CPU.
    pub(crate) fn derive(&self, base: &[u8], salt: &str) -> Key {
        let mut key = vec![0; self.length].into_boxed_slice();
        let derive = match self.digest {
            Digest::Sha256 => pbkdf2_hmac::<Sha256>,
            Digest::Sha384 => pbkdf2_hmac::<Sha384>,
            Digest::Sha512 => pbkdf2_hmac::<Sha512>,
        };
        derive(base, salt.as_bytes(), self.iterations, &mut key);
        Zeroizing::new(key)
    }
}
