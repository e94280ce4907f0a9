//! The mounted socket: a socket with the options of its mount, and the checks that precede `connect`.
//!
//! `Mount::router` creates one for each mount; [`crate::websocket`] and [`crate::longpoll`] share it. Both transports
//! therefore accept and refuse clients by the same rules.

use super::longpoll::LongPoll;
use super::origin::CheckOrigin;
use super::session_cookie::{CSRF_PARAM, SessionCookie};
use axum::RequestExt;
use axum::extract::{ConnectInfo as Peer, RawPathParams, Request};
use axum::response::Response;
use bennu_channels::protocol::{Serializer, VersionError};
use bennu_channels::transport::{Connected, NotConnected, SocketMount};
use bennu_channels::{Connect, ConnectInfo, Params, Refusal};
use http::{HeaderMap, HeaderValue, header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest part of a refused origin that is logged, in bytes.
const MAX_LOGGED_ORIGIN: usize = 200;

/// See the module.
pub(crate) struct MountedSocket {
    pub(crate) socket: SocketMount,
    pub(crate) options: Options,
    /// Whether the log already contains the warning about a token that this mount does not read.
    warned_of_token: AtomicBool,
}

/// The options of a mount that do not depend on the type of its socket. [`Mount`](super::Mount) documents each.
pub(crate) struct Options {
    pub(crate) timeout: Duration,
    pub(crate) max_frame_size: usize,
    pub(crate) compress: bool,
    pub(crate) check_origin: CheckOrigin,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) auth_token: bool,
    pub(crate) serializers: Vec<Serializer>,
    pub(crate) session: Option<SessionCookie>,
    pub(crate) error_handler: Option<ErrorHandler>,
    pub(crate) longpoll: LongPoll,
}

pub(crate) type ErrorHandler = Arc<dyn Fn(&Refusal) -> Response + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Options {
            timeout: Duration::from_secs(60),
            max_frame_size: 10_000_000,
            compress: false,
            check_origin: CheckOrigin::default(),
            subprotocols: Vec::new(),
            auth_token: false,
            serializers: Serializer::ALL.to_vec(),
            session: None,
            error_handler: None,
            longpoll: false.into(),
        }
    }
}

impl MountedSocket {
    pub(crate) fn new(socket: SocketMount, options: Options) -> Self {
        MountedSocket { socket, options, warned_of_token: AtomicBool::new(false) }
    }

    /// Returns whether the origin of a request may connect; logs an origin that may not.
    pub(crate) fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let allowed = self.options.check_origin.allows(headers);
        if !allowed {
            let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
            let origin = String::from_utf8_lossy(&origin[..origin.len().min(MAX_LOGGED_ORIGIN)]).into_owned();
            tracing::warn!(
                origin,
                "refused connection: check_origin does not allow this origin; if it is yours, add it to the mount: \
                 .check_origin(CheckOrigin::list([{origin:?}])?)"
            );
        }
        allowed
    }

    /// Logs, once for each mount, that a client sent an `authToken` which this mount does not read.
    pub(crate) fn warn_of_unread_token(&self) {
        if !self.warned_of_token.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a client sent an authToken, which this mount does not read: add .auth_token(true) to it (logged once)"
            );
        }
    }

    /// Returns the serializer for the protocol version that a client requests in its parameter `vsn`.
    pub(crate) fn negotiate(&self, params: &Params) -> Result<Serializer, VersionError> {
        // `vsn[]=2.0.0` is not a version either.
        let vsn = if params.is_nested("vsn") { Some("[nested]") } else { params.get("vsn") };
        Serializer::negotiate(vsn, &self.options.serializers)
            .inspect_err(|error| tracing::warn!(%error, "refused connection"))
    }

    /// Calls the socket's `connect` with everything that the request carries.
    pub(crate) async fn connect(
        &self,
        params: Params,
        request: &mut Request,
        auth_token: Option<String>,
    ) -> Result<Connected, NotConnected> {
        let path = match request.extract_parts::<RawPathParams>().await {
            Ok(parts) => parts.iter().collect(),
            Err(_) => Params::default(),
        };
        let endpoint = self.socket.endpoint().clone();
        let mut info = ConnectInfo::new();
        info.peer = peer(request);
        info.path = path;
        info.headers = request.headers().clone();
        info.uri = request.uri().clone();
        info.extensions = std::mem::take(request.extensions_mut());
        info.auth_token = auth_token;
        info.session = self
            .options
            .session
            .as_ref()
            .and_then(|cookie| cookie.read_guarded(endpoint.secret(), request.headers(), params.get(CSRF_PARAM)));
        self.socket.connect(Connect::new(params, info, endpoint)).await
    }
}

/// Returns the peer address of the request's TCP connection, if the server has recorded it.
pub(crate) fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Peer<SocketAddr>>().map(|peer| peer.0)
}
