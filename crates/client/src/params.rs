//! The credentials of a connection, params and a token: fixed values, or the output of a function at each attempt.

use crate::ConnectError;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The params of a connection, which the `connect` of the server's socket reads.
///
/// ```
/// use bennu_client::ConnectParams;
///
/// let params = ConnectParams::from([("token", "secret"), ("device", "7")]);
/// let more = params.with("locale", "en");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectParams(Vec<(String, String)>);

impl ConnectParams {
    /// Adds a param. A key may occur more than once.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(crate) fn append(&mut self, other: ConnectParams) {
        self.0.extend(other.0);
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for ConnectParams {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> From<Vec<(K, V)>> for ConnectParams {
    fn from(pairs: Vec<(K, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for ConnectParams {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        ConnectParams(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// The output of a function that provides params or a token: the value, or a `Result` of it.
pub trait ProviderOutput<T> {
    /// Converts the output to a result.
    ///
    /// # Errors
    /// The function's error.
    fn into_result(self) -> Result<T, Arc<dyn Error + Send + Sync>>;
}

impl ProviderOutput<ConnectParams> for ConnectParams {
    fn into_result(self) -> Result<ConnectParams, Arc<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> ProviderOutput<ConnectParams> for [(K, V); N] {
    fn into_result(self) -> Result<ConnectParams, Arc<dyn Error + Send + Sync>> {
        Ok(self.into())
    }
}

impl ProviderOutput<String> for String {
    fn into_result(self) -> Result<String, Arc<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

impl<T, O: ProviderOutput<T>, E: Into<Box<dyn Error + Send + Sync>>> ProviderOutput<T> for Result<O, E> {
    fn into_result(self) -> Result<T, Arc<dyn Error + Send + Sync>> {
        match self {
            Ok(output) => output.into_result(),
            Err(error) => Err(error.into().into()),
        }
    }
}

type ProviderFuture<T> = Pin<Box<dyn Future<Output = Result<T, Arc<dyn Error + Send + Sync>>> + Send>>;

/// Provides a value for each attempt to connect.
#[derive(Clone)]
pub(crate) enum Provider<T> {
    Value(T),
    Function(Arc<dyn Fn() -> ProviderFuture<T> + Send + Sync>),
}

impl<T: Clone> Provider<T> {
    pub(crate) fn function<F, R>(provide: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: ProviderOutput<T>> + Send + 'static,
    {
        Provider::Function(Arc::new(move || {
            let output = provide();
            Box::pin(async move { output.await.into_result() })
        }))
    }

    pub(crate) async fn get(&self) -> Result<T, ConnectError> {
        match self {
            Provider::Value(value) => Ok(value.clone()),
            Provider::Function(provide) => provide().await.map_err(ConnectError::Params),
        }
    }
}
