//! Derives the key of one purpose from the secret of an application, as `Plug.Crypto.KeyGenerator` does.
//!
//! The function is PBKDF2 over HMAC, with the secret as the password. The salt names a purpose (`"user socket"`), so a
//! token for one purpose is not valid for another. [`Keyring`](crate::keyring::Keyring) is the only caller, and caches
//! the keys.
//!
//! Invariant: [`KeyOptions::derive`] runs only on options that passed [`KeyOptions::check`].

use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::error::OptionError;

/// A derived key, which is wiped from memory when dropped.
pub(crate) type Key = Zeroizing<Box<[u8]>>;

/// The maximum of PBKDF2 iterations. A higher number costs seconds of CPU for each key and must be a mistake. 10
/// million is 10 times the number that OWASP (2023) recommends for the weakest passwords, and a secret is stronger than
/// a password.
const MAX_ITERATIONS: u32 = 10_000_000;

/// The minimum length of a key in bytes. A key of less than 128 bits could be guessed.
const MIN_KEY_LENGTH: usize = 16;

/// The maximum length of a key in bytes. HMAC-SHA256 hashes a key that is longer than its block of 64 bytes down to 32,
/// so a longer key is not stronger. The limit leaves room for a Phoenix application that has set one. Each 32 bytes
/// cost another PBKDF2 run.
const MAX_KEY_LENGTH: usize = 1024;

/// The hash function of the key derivation. The signature itself is always HMAC-SHA256.
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

/// The options of the key derivation. The defaults are those of Phoenix.
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
    /// Checks the bounds of all options. Called before each use.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        if self.iterations == 0 || self.iterations > MAX_ITERATIONS {
            return Err(OptionError::Iterations { iterations: self.iterations, limit: MAX_ITERATIONS });
        }
        self.check_length(MIN_KEY_LENGTH, MAX_KEY_LENGTH)
    }

    /// Checks the key length against the bounds of one use. A cipher has only one length.
    pub(crate) fn check_length(&self, min: usize, max: usize) -> Result<(), OptionError> {
        if self.length < min || self.length > max {
            return Err(OptionError::KeyLength { length: self.length, min, max });
        }
        Ok(())
    }

    /// Derives the key. Takes 0.15 ms with the defaults (measured 2026-11-20, release build, x86-64 with SHA
    /// extensions), and several times as long on a CPU without such extensions.
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
