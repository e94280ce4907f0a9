//! A mounted socket with its options: what each transport asks before it connects a client.
//!
//! Made by [`crate::mount`], shared by the transports of one mount, [`crate::websocket`] and [`crate::longpoll`], so that
//! a client is let in or not by the same rules whichever it comes by.

use crate::options::Options;
use crate::session_cookie::CSRF_PARAM;
use axum::RequestExt;
use axum::extract::{ConnectInfo as Peer, RawPathParams, Request};
use bennu_channels::protocol::{Serializer, VersionError, negotiate};
use bennu_channels::{Connect, ConnectInfo, Connected, Endpoint, NotConnected, Params, SocketMount};
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// The most of an origin that is logged, in bytes.
const MAX_LOGGED_ORIGIN: usize = 200;

/// See the module.
pub(crate) struct Mounted {
    pub(crate) socket: SocketMount,
    pub(crate) options: Options,
    /// A client has sent a token that this mount does not read; the log says it once.
    unread_token: AtomicBool,
}

impl Mounted {
    pub(crate) fn new(socket: SocketMount, options: Options) -> Self {
        Mounted { socket, options, unread_token: AtomicBool::new(false) }
    }

    /// Whether the page that a request comes from may connect.
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

    /// A client has sent its `authToken`, and this mount reads none.
    pub(crate) fn has_unread_token(&self) {
        if !self.unread_token.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a client sends an authToken, which this mount does not read: add .auth_token(true) to it (said once)"
            );
        }
    }

    /// The version of the protocol that a client asks for.
    pub(crate) fn negotiate(&self, params: &Params) -> Result<Serializer, VersionError> {
        // `vsn[]=2.0.0` is no version either.
        let vsn = if params.is_nested("vsn") { Some("[nested]") } else { params.get("vsn") };
        negotiate(vsn, &self.options.serializers).inspect_err(|error| tracing::warn!(%error, "refused connection"))
    }

    /// Asks the socket.
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

/// The peer of the request's TCP connection, where the server says.
pub(crate) fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Peer<SocketAddr>>().map(|peer| peer.0)
}

/// The paths at which an endpoint has sockets: axum panics when two routers with one path are merged.
#[derive(Default)]
pub(crate) struct MountedPaths(Mutex<HashMap<String, Weak<Mounted>>>);

impl MountedPaths {
    pub(crate) fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(Arc::default)
    }

    /// Adds a mount; `false` when its path has one whose router is still there. Parts match whatever their name.
    pub(crate) fn add(&self, path: &str, mount: &Arc<Mounted>) -> bool {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        let route = segments.collect::<Vec<_>>().join("/");
        let mut paths = self.0.lock();
        if paths.get(&route).is_some_and(|mounted| mounted.strong_count() > 0) {
            return false;
        }
        paths.insert(route, Arc::downgrade(mount));
        true
    }
}
