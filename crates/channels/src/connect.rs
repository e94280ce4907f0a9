//! What a socket's `connect` gets to decide with: parameters, and what the transport knows of the client.

use crate::endpoint::Endpoint;
use crate::params::{MissingParam, Params};
use bennu_token::TokenError;
use http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;

/// A client's request to connect.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The parameters of the client's URL.
    pub params: Params,
    /// What the transport knows.
    pub info: ConnectInfo,
    /// The application's endpoint.
    pub endpoint: Endpoint,
}

/// What the transport knows of a client. Everything in it but [`ConnectInfo::peer`] is the client's own word.
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
    /// The token that came by subprotocol or header, on a mount that asks for one.
    pub auth_token: Option<String>,
    /// The session from the cookie, when the mount reads one and the CSRF token matched.
    pub session: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Connect {
    /// A parameter of the client's URL.
    ///
    /// # Errors
    /// [`MissingParam`], which refuses the connection when it is passed on with `?`.
    pub fn param(&self, name: &str) -> Result<&str, MissingParam> {
        self.params.get(name).ok_or_else(|| MissingParam(name.to_owned()))
    }

    /// A part of the mount's path, as `id` in `/ws/{id}`.
    ///
    /// # Errors
    /// [`MissingParam`] when the mount's path has no such part.
    pub fn path_param(&self, name: &str) -> Result<&str, MissingParam> {
        self.info.path.get(name).ok_or_else(|| MissingParam(name.to_owned()))
    }

    /// The token that came by subprotocol or header.
    ///
    /// # Errors
    /// [`MissingParam`] when there was none.
    pub fn auth_token(&self) -> Result<&str, MissingParam> {
        self.info.auth_token.as_deref().ok_or_else(|| MissingParam("auth token".to_owned()))
    }

    /// The `user-agent` header.
    pub fn user_agent(&self) -> Option<&str> {
        self.info.headers.get(http::header::USER_AGENT)?.to_str().ok()
    }

    /// Verifies a token that was signed with the endpoint's secret, see [`Endpoint::verify`].
    ///
    /// # Errors
    /// [`TokenError`], which refuses the connection when it is passed on with `?`.
    pub fn verify<T: DeserializeOwned>(&self, salt: &str, token: &str, max_age: Duration) -> Result<T, TokenError> {
        self.endpoint.verify(salt, token, max_age)
    }
}
