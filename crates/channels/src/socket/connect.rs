//! The argument of a socket's `connect`: the client's parameters, and the transport's information about the client.

use crate::endpoint::Endpoint;
use crate::socket::params::{MissingParam, Params};
use bennu_token::TokenError;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use serde::de::DeserializeOwned;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A client's request to connect. `T` is the state of the socket's mount, see [`Socket::State`](crate::Socket::State).
///
/// ```
/// use bennu_channels::prelude::*;
/// use bennu_channels::{Params, token::Secret};
///
/// let endpoint = Endpoint::new(Secret::new("a secret that is at least 32 bytes long")?);
/// let params: Params = [("name", "Blue")].into_iter().collect();
/// let request = Connect::new(params, ConnectInfo::new(), endpoint);
/// assert_eq!(request.param("name")?, "Blue");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connect<T = ()> {
    /// The parameters of the client's URL.
    pub params: Params,
    /// The transport's information about the client.
    pub info: ConnectInfo,
    /// The application's endpoint.
    pub endpoint: Endpoint,
    state: Arc<T>,
}

/// The transport's information about a client. The client chooses every field except for [`ConnectInfo::peer`] and
/// [`ConnectInfo::extensions`]: do not trust them without a check.
///
/// A transport makes it, and a test may too:
///
/// ```
/// use bennu_channels::ConnectInfo;
///
/// #[derive(Clone)]
/// struct User(u64);
///
/// let info = ConnectInfo::new().with_peer(([10, 0, 0, 7], 5000)).with_header("user-agent", "phone").with_extension(User(1));
/// assert_eq!(info.headers["user-agent"], "phone");
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The peer of the TCP connection; a proxy's address where there is one.
    pub peer: Option<SocketAddr>,
    /// The parts of the mount's path, as `id` in `/ws/{id}`.
    pub path: Params,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's URI.
    pub uri: Uri,
    /// The extensions of the request, which layers before the mount have added, as axum's `Extension<User>` does.
    pub extensions: Extensions,
    /// The token from the subprotocol or the header, on a mount with `.auth_token(true)`.
    pub auth_token: Option<String>,
    /// The session from the cookie, when the mount reads one and the CSRF token matched.
    pub session: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A request extension that a socket needs and no layer has added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request has no extension {0}: the layer that adds it must wrap the router that the socket is merged into")]
pub struct MissingExtension(&'static str);

impl Connect {
    /// Makes a request, as a transport does. The socket's mount adds its state.
    pub fn new(params: Params, info: ConnectInfo, endpoint: Endpoint) -> Self {
        Connect { params, info, endpoint, state: Arc::new(()) }
    }
}

impl<T> Connect<T> {
    pub(crate) fn with_state<U>(self, state: Arc<U>) -> Connect<U> {
        let Connect { params, info, endpoint, .. } = self;
        Connect { params, info, endpoint, state }
    }

    /// Returns the state that the socket was mounted with.
    pub fn state(&self) -> &T {
        &self.state
    }

    /// Returns a parameter of the client's URL.
    ///
    /// # Errors
    /// [`MissingParam`], which refuses the connection when it is passed on with `?`.
    pub fn param(&self, name: &str) -> Result<&str, MissingParam> {
        self.params.get(name).ok_or_else(|| MissingParam(name.to_owned()))
    }

    /// Returns a part of the mount's path, as `id` in `/ws/{id}`.
    ///
    /// # Errors
    /// [`MissingParam`] when the mount's path has no such part.
    pub fn path_param(&self, name: &str) -> Result<&str, MissingParam> {
        self.info.path.get(name).ok_or_else(|| MissingParam(name.to_owned()))
    }

    /// Returns the token from the subprotocol or the header. Only a mount with `.auth_token(true)` reads one.
    ///
    /// # Errors
    /// [`MissingParam`] when there was none.
    pub fn auth_token(&self) -> Result<&str, MissingParam> {
        self.info.auth_token.as_deref().ok_or_else(|| MissingParam("authToken".to_owned()))
    }

    /// Returns an extension that a layer before the mount has added, as a login layer's `Extension<User>`.
    ///
    /// # Errors
    /// [`MissingExtension`], which refuses the connection when it is passed on with `?`.
    pub fn extension<E: Clone + Send + Sync + 'static>(&self) -> Result<&E, MissingExtension> {
        self.info.extensions.get().ok_or(MissingExtension(std::any::type_name::<E>()))
    }

    /// Returns the `user-agent` header.
    pub fn user_agent(&self) -> Option<&str> {
        self.info.headers.get(http::header::USER_AGENT)?.to_str().ok()
    }

    /// Verifies a token that was signed with the endpoint's secret, see [`Endpoint::verify`].
    ///
    /// # Errors
    /// [`TokenError`], which refuses the connection when it is passed on with `?`.
    pub fn verify<D: DeserializeOwned>(&self, salt: &str, token: &str, max_age: Duration) -> Result<D, TokenError> {
        self.endpoint.verify(salt, token, max_age)
    }
}

/// The state is left out: it need not be `Debug`.
impl<T> fmt::Debug for Connect<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("params", &self.params)
            .field("info", &self.info)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl ConnectInfo {
    /// Makes the information about a client of which only the connection exists.
    pub fn new() -> Self {
        ConnectInfo::default()
    }

    /// Sets the peer.
    pub fn with_peer(mut self, peer: impl Into<SocketAddr>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    /// Adds a part of the mount's path.
    pub fn with_path(mut self, name: &str, value: &str) -> Self {
        self.path = self.path.iter().chain([(name, value)]).collect();
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// Panics when `name` or `value` is not valid in HTTP.
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap_or_else(|error| panic!("{name:?} is not a header's name: {error}"));
        let value: HeaderValue = value.parse().unwrap_or_else(|error| panic!("{value:?} is not a header: {error}"));
        self.headers.append(name, value);
        self
    }

    /// Adds an extension of the request.
    pub fn with_extension<E: Clone + Send + Sync + 'static>(mut self, extension: E) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// Sets the token of the subprotocol.
    pub fn with_auth_token(mut self, token: impl Into<String>) -> Self {
        self.auth_token = Some(token.into());
        self
    }

    /// Sets the session of the cookie.
    pub fn with_session(mut self, session: serde_json::Map<String, serde_json::Value>) -> Self {
        self.session = Some(session);
        self
    }
}
