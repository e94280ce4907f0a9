//! Signing in: the user in the session of a browser, the same user in the token of its sockets, and the password form.
//!
//! A page puts [`SignedIn::token`] into a `<meta>` element, and the socket's `connect` calls [`SignedIn::connect`]. The
//! token contains the user; the session shows that the user is still signed in. A page that stays open after a sign-out
//! has a token, but its session has no user, and its sockets are refused.

use super::problem::Problem;
use super::sentence;
use super::visitor::Visitor;
use crate::now_ms;
use crate::password::{Denied, Password};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use bennu::{Connect, Endpoint, Refusal, SessionMap};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The time after which a user must sign in again: 12 hours.
pub const SIGNED_IN_FOR: Duration = Duration::from_secs(12 * 3600);

/// The key of the session, and the salt of the token.
const KEY: &str = "signed_in";

/// A signed-in user of the application, in one browser. `U` is any value that serde can store in the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn<U> {
    /// The user.
    pub user: U,
    /// A random name of this sign-in.
    id: String,
    /// The time of its end, in milliseconds since 1970.
    until_ms: i64,
}

impl<U: Serialize + DeserializeOwned> SignedIn<U> {
    /// Returns the user of a session, if there is one whose time has not ended.
    pub fn of(session: &SessionMap) -> Option<Self> {
        let signed_in: Self = serde_json::from_value(session.get(KEY)?.clone()).ok()?;
        Some(signed_in).filter(|signed_in| now_ms() < signed_in.until_ms)
    }

    /// Returns the token for the sockets of a page.
    ///
    /// # Errors
    /// [`Problem`] when the user is too large to be signed.
    pub fn token(&self, endpoint: &Endpoint) -> Result<String, Problem> {
        endpoint.sign(KEY, self).map_err(|error| Problem::internal(&error))
    }

    /// Returns the user of a client that connects with a [`token`](Self::token) in the parameter `token`, and with the
    /// session in which the user is still signed in.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn connect<S>(request: &Connect<S>) -> Result<Self, Refusal> {
        let signed_in: Self = request.verify(KEY, request.param("token")?, SIGNED_IN_FOR)?;
        let current = request.info.session.as_ref().and_then(Self::of).filter(|current| current.id == signed_in.id);
        current.ok_or_else(|| Refusal::because("the session has another sign-in or none"))
    }

    /// Returns the id for the sockets of this sign-in, with which a sign-out closes them.
    pub fn socket_id(&self) -> String {
        format!("{KEY}:{}", self.id)
    }
}

impl Visitor {
    /// Returns the signed-in user.
    pub fn signed_in<U: Serialize + DeserializeOwned>(&self) -> Option<SignedIn<U>> {
        SignedIn::of(self.session())
    }

    /// Returns this visitor with a user, for [`SIGNED_IN_FOR`].
    ///
    /// # Errors
    /// [`Problem`] when the operating system has no random bytes, or the user is not a value of JSON.
    pub fn sign_in<U: Serialize>(self, user: U) -> Result<Self, Problem> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Problem::internal(&error))?;
        let id = random.map(|byte| format!("{byte:02x}")).concat();
        let signed_in = SignedIn { user, id, until_ms: now_ms() + SIGNED_IN_FOR.as_millis() as i64 };
        let signed_in = serde_json::to_value(signed_in).map_err(|error| Problem::internal(&error))?;
        self.with(KEY, signed_in).renewed()
    }

    /// Returns this visitor without a user.
    ///
    /// # Errors
    /// [`Problem`] when the operating system has no random bytes.
    pub fn sign_out(self) -> Result<Self, Problem> {
        self.without(KEY).renewed()
    }
}

/// The address of the client, for the limits of attempts.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A server always knows the address of its peer; without one, all peers share one count.
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Peer(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())))
    }
}

/// A password that was rejected, for the form that has its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// 400, 401 or 429.
    pub status: StatusCode,
    /// The sentence for the form.
    pub text: String,
    /// The header `Retry-After`; only of a 429.
    pub retry_after: Option<[(HeaderName, u64); 1]>,
}

/// Checks a password of a form, within the limits of [`Password::verify`], and logs the result.
///
/// # Errors
/// [`Rejected`]
pub async fn check_password(password: &Password, candidate: &str, Peer(peer): Peer) -> Result<(), Rejected> {
    let Err(denied) = password.verify(candidate, peer).await else {
        tracing::info!(%peer, "accepted a password");
        return Ok(());
    };
    tracing::warn!(%peer, %denied, "rejected a password");
    let (status, retry_after) = match denied {
        Denied::TooMany { retry_after } => {
            let seconds = retry_after.as_secs_f64().ceil() as u64;
            (StatusCode::TOO_MANY_REQUESTS, Some([(header::RETRY_AFTER, seconds)]))
        }
        Denied::TooLong { .. } => (StatusCode::BAD_REQUEST, None),
        _ => (StatusCode::UNAUTHORIZED, None),
    };
    Err(Rejected { status, text: sentence(&denied.to_string()), retry_after })
}
