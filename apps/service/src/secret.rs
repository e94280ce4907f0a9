//! The secret of an application's tokens and cookies: of the environment, or else a random one.
//!
//! An application calls one of the two functions at its start, after its log, and passes the secret to its endpoint. A
//! secret that is set and not usable is an error, and never replaced by a random one.

use bennu::token::{Secret, SecretError};

/// The environment variable of the secret.
const VARIABLE: &str = "SECRET_KEY_BASE";

/// A secret that could not be obtained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretSourceError {
    /// The secret of the environment, or the stored one, cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The operating system has no random bytes.
    #[error("could not create a random secret: {0}")]
    Random(#[from] getrandom::Error),
    /// The database does not have it, and does not keep a new one.
    #[cfg(feature = "database")]
    #[error("could not read the secret from the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Returns the secret of `SECRET_KEY_BASE`, or without that variable a random one, with a line in the log: its tokens
/// are valid until the process ends, and other nodes do not accept them.
///
/// # Errors
/// [`SecretSourceError`]
pub fn from_env() -> Result<Secret, SecretSourceError> {
    match given(VARIABLE)? {
        Some(secret) => Ok(secret),
        None => {
            tracing::info!(
                "{VARIABLE} is not set: the secret is random, and its tokens are valid until this process ends"
            );
            Ok(Secret::new(random()?)?)
        }
    }
}

/// Returns the secret of `SECRET_KEY_BASE`, or without that variable one that the database keeps as the
/// [setting](crate::database::Database::setting) `secret_key_base`, so that all nodes of one database have the same.
///
/// # Errors
/// [`SecretSourceError`]
#[cfg(feature = "database")]
pub async fn from_env_or_database(database: &crate::database::Database) -> Result<Secret, SecretSourceError> {
    let stored = async |random: String| Ok(database.setting("secret_key_base", &random).await?);
    from_variable_or(VARIABLE, stored).await
}

#[cfg(any(feature = "database", test))]
async fn from_variable_or(
    variable: &str,
    stored: impl AsyncFnOnce(String) -> Result<String, SecretSourceError>,
) -> Result<Secret, SecretSourceError> {
    if let Some(secret) = given(variable)? {
        return Ok(secret);
    }
    Ok(Secret::new(stored(random()?).await?)?)
}

/// Returns the secret of the environment variable, if it is set.
fn given(variable: &str) -> Result<Option<Secret>, SecretSourceError> {
    match Secret::from_env(variable) {
        Err(SecretError::NotSet { .. }) => Ok(None),
        secret => Ok(Some(secret?)),
    }
}

fn random() -> Result<String, SecretSourceError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(random.map(|byte| format!("{byte:02x}")).concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu::Endpoint;

    const NOT_SET: &str = "A_VARIABLE_THAT_IS_NOT_SET";

    /// Returns the secret of a variable, or the stored text.
    async fn secret(variable: &str, stored: &str) -> Result<Secret, SecretSourceError> {
        from_variable_or(variable, async |_| Ok(stored.to_owned())).await
    }

    fn accepts(secret: Secret, token: &str) -> bool {
        Endpoint::new(secret).verify::<u8>("salt", token, bennu::token::Token::ONE_DAY).is_ok()
    }

    #[tokio::test]
    async fn nodes_with_one_stored_secret_accept_each_others_tokens() {
        let [a, b] = [
            secret(NOT_SET, "a stored secret of one database").await.unwrap(),
            secret(NOT_SET, "a stored secret of one database").await.unwrap(),
        ];
        let token = Endpoint::new(a).sign("salt", &1_u8).unwrap();
        assert!(accepts(b, &token));
        assert!(!accepts(secret(NOT_SET, "a stored secret of another one").await.unwrap(), &token));
    }

    #[tokio::test]
    async fn the_environment_comes_before_the_stored_secret() {
        // Any variable of the process that is long enough.
        let of_environment = Secret::new(std::env::var("PATH").unwrap()).unwrap();
        let token = Endpoint::new(of_environment).sign("salt", &1_u8).unwrap();
        let unused = async |_| panic!("the stored secret is not used");
        assert!(accepts(from_variable_or("PATH", unused).await.unwrap(), &token));
    }

    #[tokio::test]
    async fn each_random_secret_is_another_of_64_digits() {
        let [a, b] = [random().unwrap(), random().unwrap()];
        assert_ne!(a, b);
        assert!(
            [a, b].iter().all(|random| random.len() == 64 && random.bytes().all(|digit| digit.is_ascii_hexdigit()))
        );
    }

    #[tokio::test]
    async fn a_stored_secret_that_is_too_short_is_an_error() {
        let error = secret(NOT_SET, "short").await.unwrap_err().to_string();
        assert_eq!(error, "a secret of 5 bytes is too short: it must have at least 20 bytes");
    }
}
