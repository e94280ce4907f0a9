//! The owner's password: its hash from the environment or a random one, and the check of a candidate.
//!
//! A login form calls [`Password::verify`] for each attempt, and a command `hash-password` calls [`hash_password`]. The
//! password itself is never kept: only its argon2 hash. Each attempt is counted before its hash is computed, so that
//! attempts at the same time do not pass the limits of `attempts`; and at most two hashes are computed at once, on
//! threads for blocking work, since each takes about 20 MiB and 20 ms of a core.

mod attempts;

use argon2::password_hash::{PasswordHash, PasswordHashString, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params};
use attempts::Attempts;
use parking_lot::Mutex;
use std::env::{self, VarError};
use std::fmt;
use std::io::{self, BufRead, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The most bytes of a password; a longer candidate is refused without a hash.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// The fewest characters of a password that [`hash_password`] accepts, as NIST SP 800-63B requires.
pub const MIN_PASSWORD_CHARACTERS: usize = 8;

/// The most hashes that are computed at once. Further attempts wait; the node's limit bounds their number.
const MAX_HASHES_AT_ONCE: usize = 2;

/// The signs of a random password: 32 that are not mistaken for each other, so each has 5 bits.
const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The password of an application's owner. Clones share the limits of attempts.
#[derive(Clone)]
pub struct Password(Arc<Shared>);

struct Shared {
    hash: PasswordHashString,
    attempts: Mutex<Attempts>,
    permits: Arc<Semaphore>,
}

/// A password that could not be read, hashed or generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The environment variable has no valid hash.
    #[error(
        "the environment variable {variable} is not an argon2 hash ({reason}); make one with the command \
         hash-password, and set it in single quotes, since it contains $"
    )]
    InvalidHash {
        /// The name of the variable.
        variable: String,
        /// The reason why the hash cannot be used.
        reason: String,
    },
    /// The password to hash is too short.
    #[error("a password of {characters} characters is too short: it must have at least {MIN_PASSWORD_CHARACTERS}")]
    TooShort {
        /// The number of its characters.
        characters: usize,
    },
    /// The password to hash is too long.
    #[error("a password of {bytes} bytes is too long: it must have at most {MAX_PASSWORD_BYTES}")]
    TooLong {
        /// The number of its bytes.
        bytes: usize,
    },
    /// The operating system has no random bytes.
    #[error("could not obtain random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The password to hash could not be read.
    #[error("could not read a password from standard input: {0}")]
    Input(#[from] io::Error),
    /// The hash could not be computed.
    #[error("could not hash the password: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The reason why a candidate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It is not the password.
    #[error("this is not the password")]
    Wrong,
    /// It is longer than [`MAX_PASSWORD_BYTES`].
    #[error("a password of {bytes} bytes is too long: it must have at most {MAX_PASSWORD_BYTES}")]
    TooLong {
        /// The number of its bytes.
        bytes: usize,
    },
    /// There were too many attempts from this address, or from all addresses. The candidate was not checked.
    #[error("there were too many attempts: try again in {} s", whole_seconds(*retry_after))]
    TooMany {
        /// The time until the next attempt is accepted; at most a minute.
        retry_after: Duration,
    },
}

impl Password {
    /// Reads the hash of an environment variable: an argon2 hash in the PHC format, as [`hash_password`] returns it.
    /// Returns `None` when the variable is not set.
    ///
    /// # Errors
    /// [`PasswordError::InvalidHash`], which names the variable.
    pub fn from_env(variable: &str) -> Result<Option<Self>, PasswordError> {
        let invalid = |reason| PasswordError::InvalidHash { variable: variable.to_owned(), reason };
        match env::var(variable) {
            Ok(hash) => Password::from_hash(&hash).map(Some).map_err(invalid),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(invalid("it is not UTF-8".to_owned())),
        }
    }

    /// Reads the hash of an environment variable; without it generates a password and prints that with the words `whose`
    /// before it, as `The owner's password for /admin is 7kdm-x2qa-mp4c-zt9e`.
    ///
    /// # Errors
    /// [`PasswordError::InvalidHash`] and [`PasswordError::Random`]
    pub fn from_env_or_printed(variable: &str, whose: &str) -> Result<Self, PasswordError> {
        if let Some(password) = Password::from_env(variable)? {
            return Ok(password);
        }
        let (password, text) = Password::random()?;
        // Standard output may be a closed pipe, which does not stop the server.
        let _ = writeln!(io::stdout(), "{whose} is {text}");
        Ok(password)
    }

    /// Generates a password of 80 random bits, and returns it with its text, as `7kdm-x2qa-mp4c-zt9e`, for the owner.
    ///
    /// It computes a hash, which blocks the thread for about 20 ms.
    ///
    /// # Errors
    /// [`PasswordError::Random`], when the operating system has no random bytes.
    pub fn random() -> Result<(Self, String), PasswordError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let signs = random.map(|byte| char::from(SIGNS[usize::from(byte) % SIGNS.len()]));
        let text = signs.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-");
        let hash = hash_password(&text)?;
        let password = Password::from_hash(&hash).expect("the hash was just computed");
        Ok((password, text))
    }

    /// Checks that the text is a complete argon2 hash; the error is the reason why it is not.
    fn from_hash(text: &str) -> Result<Self, String> {
        let hash = PasswordHash::new(text).map_err(|error| error.to_string())?;
        Algorithm::try_from(hash.algorithm).map_err(|_| format!("its algorithm is {}", hash.algorithm))?;
        Params::try_from(&hash).map_err(|error| error.to_string())?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err("its end is missing".to_owned());
        }
        Ok(Password(Arc::new(Shared {
            hash: hash.serialize(),
            attempts: Mutex::new(Attempts::default()),
            permits: Arc::new(Semaphore::new(MAX_HASHES_AT_ONCE)),
        })))
    }

    /// Returns whether `candidate` is the password, for an attempt from the address `peer`.
    ///
    /// An address has 5 attempts in a minute, and the whole node 120; an attempt past one of these limits is not
    /// checked. An IPv6 address counts with all others of its /64. A success ends the count of its address. The
    /// comparison takes the same time wherever candidate and password differ.
    ///
    /// Cancellation: an attempt whose future is dropped stays counted, and its hash is computed to the end.
    ///
    /// # Errors
    /// [`Denied`]
    pub async fn verify(&self, candidate: &str, peer: IpAddr) -> Result<(), Denied> {
        self.0.attempts.lock().admit(peer, Instant::now()).map_err(|retry_after| Denied::TooMany { retry_after })?;
        if candidate.len() > MAX_PASSWORD_BYTES {
            return Err(Denied::TooLong { bytes: candidate.len() });
        }
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.expect("the semaphore is never closed");
        let (shared, candidate) = (Arc::clone(&self.0), candidate.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            Argon2::default().verify_password(candidate.as_bytes(), &shared.hash.password_hash()).is_ok()
        });
        // The task fails only when the runtime shuts down.
        if !verified.await.unwrap_or(false) {
            return Err(Denied::Wrong);
        }
        self.0.attempts.lock().forgive(peer);
        Ok(())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").finish_non_exhaustive()
    }
}

/// Returns the argon2id hash of a password in the PHC format (`$argon2id$v=19$...`), with a random salt, for the
/// variable of [`Password::from_env`]. It blocks the thread for about 20 ms.
///
/// # Errors
/// [`PasswordError::TooShort`] and [`PasswordError::TooLong`] for a password of fewer than 8 characters or more than
/// 1,024 bytes; [`PasswordError::Random`] and [`PasswordError::Hash`] when the operating system has no random bytes or no memory.
pub fn hash_password(text: &str) -> Result<String, PasswordError> {
    let characters = text.chars().count();
    if characters < MIN_PASSWORD_CHARACTERS {
        return Err(PasswordError::TooShort { characters });
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong { bytes: text.len() });
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let salt = SaltString::encode_b64(&random).map_err(PasswordError::Hash)?;
    let hash = Argon2::default().hash_password(text.as_bytes(), &salt).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Reads a password from a line of standard input, and returns its hash, for a command `hash-password`.
///
/// # Errors
/// As [`hash_password`], and [`PasswordError::Input`]
pub fn read_and_hash_password() -> Result<String, PasswordError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    hash_password(line.trim_end_matches(['\r', '\n']))
}

/// Returns the seconds of a time, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::Version;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// Returns a password whose hash is cheap, for tests of the limits.
    fn cheap(text: &str) -> Password {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        Password::from_hash(&argon2.hash_password(text.as_bytes(), &salt).unwrap().to_string()).unwrap()
    }

    #[tokio::test]
    async fn only_the_hashed_password_is_accepted() {
        let password = Password::from_hash(&hash_password("a long enough one").unwrap()).unwrap();
        assert_eq!(password.verify("a long enough one", PEER).await, Ok(()));
        assert_eq!(password.verify("a long enough ONE", PEER).await, Err(Denied::Wrong));
        assert_eq!(password.verify("", PEER).await, Err(Denied::Wrong));
    }

    #[tokio::test]
    async fn a_random_password_is_the_returned_text_and_another_each_time() {
        let ((password, text), (_, other)) = (Password::random().unwrap(), Password::random().unwrap());
        assert_eq!(password.verify(&text, PEER).await, Ok(()));
        assert_eq!(password.verify(&other, PEER).await, Err(Denied::Wrong));
        assert_eq!((text.len(), text.matches('-').count()), (19, 3));
    }

    #[test]
    fn two_hashes_of_one_password_differ_and_do_not_contain_it() {
        let [a, b] = [(); 2].map(|()| hash_password("a long enough one").unwrap());
        assert_ne!(a, b);
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !a.contains("long"), "{a}");
    }

    #[test]
    fn a_password_past_the_limits_is_not_hashed() {
        let error = |text: &str| hash_password(text).unwrap_err().to_string();
        assert_eq!(error("sevenéé"), "a password of 7 characters is too short: it must have at least 8");
        assert_eq!(error(&"x".repeat(1025)), "a password of 1025 bytes is too long: it must have at most 1024");
        assert!(hash_password(&"x".repeat(1024)).is_ok());
    }

    #[test]
    fn an_incomplete_hash_and_one_of_another_algorithm_are_invalid() {
        let reason = |text: &str| Password::from_hash(text).unwrap_err();
        for text in ["", "password", "$argon2id$v=19$m=1,t=0,p=0$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo"] {
            assert!(!reason(text).is_empty());
        }
        assert_eq!(reason("$argon2id$v=19$m=19456,t=2,p=1"), "its end is missing");
        assert_eq!(reason("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0"), "its end is missing");
        assert_eq!(reason("$scrypt$ln=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo"), "its algorithm is scrypt");
    }

    #[test]
    fn the_error_of_an_invalid_variable_names_it_and_the_remedy() {
        // Any variable of the process that is not a hash.
        let error = Password::from_env("PATH").unwrap_err().to_string();
        assert!(error.starts_with("the environment variable PATH is not an argon2 hash ("), "{error}");
        assert!(error.contains("hash-password") && error.contains("single quotes"), "{error}");
        assert!(Password::from_env("A_VARIABLE_THAT_IS_NOT_SET").unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_attempt_within_a_minute_is_refused_even_with_the_password() {
        let password = cheap("right");
        for _ in 0..5 {
            assert_eq!(password.verify("wrong", PEER).await, Err(Denied::Wrong));
        }
        let Err(Denied::TooMany { retry_after }) = password.verify("right", PEER).await else {
            panic!("it was checked")
        };
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(password.verify("right", other).await, Ok(()));
        tokio::time::advance(retry_after).await;
        assert_eq!(password.verify("right", PEER).await, Ok(()));
    }

    #[tokio::test]
    async fn attempts_at_the_same_time_do_not_pass_the_limit() {
        let password = cheap("right");
        let attempts = (0..50).map(|_| password.verify("wrong", PEER));
        let results = futures::future::join_all(attempts).await;
        let wrong = results.iter().filter(|result| **result == Err(Denied::Wrong)).count();
        assert_eq!((wrong, results.len()), (5, 50));
    }

    #[tokio::test]
    async fn a_success_ends_the_count_of_its_address() {
        let password = cheap("right");
        for _ in 0..20 {
            assert_eq!(password.verify("right", PEER).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_candidate_past_the_limit_is_refused_without_a_hash_and_counted() {
        let password = cheap("right");
        // No hash can be computed while both permits are taken.
        let _permits = Arc::clone(&password.0.permits).acquire_many_owned(MAX_HASHES_AT_ONCE as u32).await.unwrap();
        let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
        for _ in 0..5 {
            assert_eq!(password.verify(&long, PEER).await, Err(Denied::TooLong { bytes: 1025 }));
        }
        assert!(matches!(password.verify(&long, PEER).await, Err(Denied::TooMany { .. })));
    }

    #[test]
    fn the_text_of_a_denial_has_the_limit_or_the_remedy() {
        let text = Denied::TooMany { retry_after: Duration::from_millis(11_001) }.to_string();
        assert_eq!(text, "there were too many attempts: try again in 12 s");
        let text = Denied::TooLong { bytes: 2000 }.to_string();
        assert_eq!(text, "a password of 2000 bytes is too long: it must have at most 1024");
    }
}
