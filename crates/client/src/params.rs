//! What a connection brings along: params and a token, as values or from a function that is asked at every attempt.

use crate::ConnectError;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The params of a connection: `connect` of the server's socket reads them.
///
/// ```
/// use bennu_client::Params;
///
/// let params = Params::from([("token", "secret"), ("device", "7")]);
/// let more = params.with("locale", "en");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// With one more; a key may stand twice.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(crate) fn append(&mut self, other: Params) {
        self.0.extend(other.0);
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Params {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> From<Vec<(K, V)>> for Params {
    fn from(pairs: Vec<(K, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Params(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// What a function of one's own may answer when it is asked for params or for a token: the value, or a `Result` of it.
pub trait Answer<T> {
    /// The value, or why there is none.
    ///
    /// # Errors
    /// Whatever the function found.
    fn answer(self) -> Result<T, Arc<dyn Error + Send + Sync>>;
}

impl Answer<Params> for Params {
    fn answer(self) -> Result<Params, Arc<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> Answer<Params> for [(K, V); N] {
    fn answer(self) -> Result<Params, Arc<dyn Error + Send + Sync>> {
        Ok(self.into())
    }
}

impl Answer<String> for String {
    fn answer(self) -> Result<String, Arc<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

impl<T, A: Answer<T>, E: Into<Box<dyn Error + Send + Sync>>> Answer<T> for Result<A, E> {
    fn answer(self) -> Result<T, Arc<dyn Error + Send + Sync>> {
        match self {
            Ok(answer) => answer.answer(),
            Err(error) => Err(error.into().into()),
        }
    }
}

type Asked<T> = Pin<Box<dyn Future<Output = Result<T, Arc<dyn Error + Send + Sync>>> + Send>>;

/// Where a value comes from at each attempt.
#[derive(Clone)]
pub(crate) enum Source<T> {
    Value(T),
    Function(Arc<dyn Fn() -> Asked<T> + Send + Sync>),
}

impl<T: Clone> Source<T> {
    pub(crate) fn function<F, R>(ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Answer<T>> + Send + 'static,
    {
        Source::Function(Arc::new(move || {
            let asked = ask();
            Box::pin(async move { asked.await.answer() })
        }))
    }

    pub(crate) async fn get(&self) -> Result<T, ConnectError> {
        match self {
            Source::Value(value) => Ok(value.clone()),
            Source::Function(ask) => ask().await.map_err(ConnectError::Params),
        }
    }
}
