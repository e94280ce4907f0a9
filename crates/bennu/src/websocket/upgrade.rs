//! The WebSocket handshake: turns an HTTP request into a running connection, or refuses it with a response.
//!
//! [`crate::router`] calls [`serve`] for each request at a mount's `/websocket`. The checks have the order of Phoenix:
//! origin, subprotocol, version; then the upgrade headers; then the socket's `connect`. Source:
//! `Phoenix.Transports.WebSocket`, RFC 6455 §4.2.

use super::driver::{self, ConnectionConfig};
use super::flusher::FlusherPool;
use super::{stream, subprotocol};
use crate::mount::mounted_socket::MountedSocket;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bennu_channels::Params;
use bennu_channels::transport::{Connected, NotConnected};
use bennu_websocket::{DeflateParameters, deflate, handshake};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::TcpStream;

/// A refused handshake.
struct Rejection {
    status: StatusCode,
    text: String,
}

impl Rejection {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Rejection { status, text: text.into() }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}

/// Serves a request at a mount's `/websocket`. `flushers` belong to the mount.
pub(crate) async fn serve(mount: Arc<MountedSocket>, flushers: Arc<FlusherPool>, request: Request) -> Response {
    let selection = subprotocol::select(request.headers(), &mount.options.subprotocols, mount.options.auth_token);
    let subprotocol = selection.subprotocol.clone();
    if selection.has_unread_token {
        mount.warn_of_unread_token();
    }
    let mut response = match handshake(mount, flushers, request, selection).await {
        Ok(response) | Err(response) => response,
    };
    // A refusal contains the subprotocol too, as in Phoenix.
    if let Some(name) = subprotocol.and_then(|name| HeaderValue::from_str(&name).ok()) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}

async fn handshake(
    mount: Arc<MountedSocket>,
    flushers: Arc<FlusherPool>,
    mut request: Request,
    selection: subprotocol::Selection,
) -> Result<Response, Response> {
    let options = &mount.options;
    if request.method() != Method::GET {
        return Err(
            Rejection::new(StatusCode::BAD_REQUEST, "a WebSocket handshake must be a GET request").into_response()
        );
    }
    refuse_when_draining(&mount)?;
    if !mount.allows_origin(request.headers()) || selection.is_unsupported {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let params = Params::from_query(request.uri().query().unwrap_or_default())
        .map_err(|error| Rejection::new(StatusCode::BAD_REQUEST, error.to_string()).into_response())?;
    let serializer = mount.negotiate(&params).map_err(|_| StatusCode::FORBIDDEN.into_response())?;
    let key = check_headers(request.headers()).map_err(IntoResponse::into_response)?;
    let extension = options.compress.then(|| negotiate_extension(request.headers())).flatten();
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        Rejection::new(StatusCode::UPGRADE_REQUIRED, "could not upgrade the connection: a WebSocket needs HTTP/1.1")
            .into_response()
    })?;
    let connected = mount.connect(params, &mut request, selection.auth_token).await;
    let connected = match connected {
        Err(NotConnected::Refused(refusal)) if refusal.is_final() => mount.socket.refused_for_good(&refusal),
        connected => connected.map_err(|error| refused(&mount, error))?,
    };
    // A drain closes the connections that exist when it begins; it may have begun during `connect`.
    refuse_when_draining(&mount)?;

    let response = switching_protocols(&key, extension.as_ref());
    let config = ConnectionConfig {
        serializer,
        extension,
        max_frame_size: options.max_frame_size,
        idle_timeout: options.timeout,
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => run(&flushers, connected, config, upgraded),
            Err(error) => tracing::debug!(%error, "the client left during the handshake"),
        }
    });
    Ok(response)
}

fn refuse_when_draining(mount: &MountedSocket) -> Result<(), Response> {
    if mount.socket.endpoint().is_draining() {
        return Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down").into_response());
    }
    Ok(())
}

/// Returns the response to a client that `connect` did not accept.
fn refused(mount: &MountedSocket, error: NotConnected) -> Response {
    match error {
        NotConnected::Refused(refusal) => match (&mount.options.error_handler, refusal.reason()) {
            (Some(handler), Some(_)) => handler(&refusal),
            _ => StatusCode::FORBIDDEN.into_response(),
        },
        NotConnected::Crashed => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        NotConnected::Overloaded(overloaded) => {
            Rejection::new(StatusCode::SERVICE_UNAVAILABLE, overloaded.to_string()).into_response()
        }
    }
}

/// Checks the upgrade headers of RFC 6455 §4.2.1 and returns the key. The rejection contains the header that is wrong
/// and its value.
fn check_headers(headers: &HeaderMap) -> Result<HeaderValue, Rejection> {
    let lists = |name: &HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    let got = |name: &HeaderName| headers.get_all(name).iter().map(|value| format!("{value:?}")).collect::<Vec<_>>();
    let bad = |text| Rejection::new(StatusCode::BAD_REQUEST, text);
    for (name, token) in [(&CONNECTION, "upgrade"), (&UPGRADE, "websocket")] {
        if !lists(name, token) {
            return Err(bad(format!("'{name}' header must contain '{token}', got [{}]", got(name).join(", "))));
        }
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let got = got(&SEC_WEBSOCKET_VERSION).join(", ");
        return Err(bad(format!("'sec-websocket-version' header must equal '13', got [{got}]")));
    }
    headers.get(SEC_WEBSOCKET_KEY).cloned().ok_or_else(|| bad("'sec-websocket-key' header is absent".to_owned()))
}

fn negotiate_extension(headers: &HeaderMap) -> Option<DeflateParameters> {
    deflate::negotiate(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|value| value.to_str().ok()))
}

fn switching_protocols(key: &HeaderValue, extension: Option<&DeflateParameters>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&handshake::accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(extension) = extension.and_then(|extension| HeaderValue::from_str(&extension.response()).ok()) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, extension);
    }
    response
}

/// Takes the stream back from hyper and starts the driver. The buffers of hyper are dropped, so an idle connection has
/// none.
fn run(flushers: &FlusherPool, connected: Connected, config: ConnectionConfig, upgraded: Upgraded) {
    let queue = flushers.assign();
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let halves = stream::split_tcp(parts.io.into_inner());
            return driver::spawn(connected, config, halves, &parts.read_buf, queue);
        }
        Err(upgraded) => upgraded,
    };
    // `axum::serve` wraps the stream to distinguish HTTP/1 from HTTP/2.
    match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            let halves = stream::split_tcp(parts.io.into_inner());
            driver::spawn(connected, config, halves, &parts.read_buf, queue);
        }
        // TLS, or a listener of the application.
        Err(upgraded) => driver::spawn(connected, config, stream::split(TokioIo::new(upgraded)), &[], queue),
    }
}
