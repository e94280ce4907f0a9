//! A mounted socket with its options: what each transport asks before it connects a client.
//!
//! Made by [`crate::mount`], shared by the transports of one mount, [`crate::websocket`] and [`crate::longpoll`], so that
//! a client is let in or not by the same rules whichever it comes by.

use crate::options::Options;
use crate::session_cookie::CSRF_PARAM;
use axum::RequestExt;
use axum::extract::{ConnectInfo as Peer, RawPathParams, Request};
use bennu_channels::protocol::{Serializer, VersionError, negotiate};
use bennu_channels::{Connect, ConnectInfo, Connected, NotConnected, Params, SocketMount};
use http::{HeaderMap, header};
use std::net::SocketAddr;

/// See the module.
pub(crate) struct Mounted {
    pub(crate) socket: SocketMount,
    pub(crate) options: Options,
}

impl Mounted {
    /// Whether the page that a request comes from may connect.
    pub(crate) fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let allowed = self.options.check_origin.allows(headers);
        if !allowed {
            tracing::warn!(origin = ?headers.get(header::ORIGIN), "refused connection: origin not allowed");
        }
        allowed
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
        let mut info = ConnectInfo::default();
        info.peer = peer(request);
        info.path = path;
        info.headers = request.headers().clone();
        info.uri = request.uri().clone();
        info.auth_token = auth_token;
        info.session = self
            .options
            .session
            .as_ref()
            .and_then(|cookie| cookie.read_guarded(endpoint.secret(), request.headers(), params.get(CSRF_PARAM)));
        self.socket.connect(Connect { params, info, endpoint }).await
    }
}

/// The peer of the request's TCP connection, where the server says.
pub(crate) fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Peer<SocketAddr>>().map(|peer| peer.0)
}
