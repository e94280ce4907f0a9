//! The handshake: from an HTTP request to a running WebSocket connection, or to the response that says why not.
//!
//! The order of the checks is Phoenix's: origin, subprotocol, version; then the upgrade headers; then the socket's
//! `connect`. Source: `Phoenix.Transports.WebSocket`, RFC 6455 §4.2.

use super::driver::{self, Agreed};
use super::flush::Flushers;
use super::link::Link;
use super::{stream, subprotocol};
use crate::mounted::Mounted;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bennu_channels::{Connected, NotConnected, Params};
use bennu_websocket::{Negotiated, deflate, handshake};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Why there is no upgrade.
struct Refused {
    status: StatusCode,
    text: String,
}

impl Refused {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Refused { status, text: text.into() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}

/// Answers a request at a mount's `/websocket`. `flushers` are the mount's own.
pub(crate) async fn serve(mount: Arc<Mounted>, flushers: Arc<Flushers<Link>>, request: Request) -> Response {
    let offered = subprotocol::read(request.headers(), &mount.options.subprotocols, mount.options.auth_token);
    let chosen = offered.chosen.clone();
    if offered.unread_token {
        mount.has_unread_token();
    }
    let mut response = match handshake(mount, flushers, request, offered).await {
        Ok(response) | Err(response) => response,
    };
    // A refusal too names the subprotocol, as real Phoenix does.
    if let Some(name) = chosen.and_then(|name| HeaderValue::from_str(&name).ok()) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}

async fn handshake(
    mount: Arc<Mounted>,
    flushers: Arc<Flushers<Link>>,
    mut request: Request,
    offered: subprotocol::Offered,
) -> Result<Response, Response> {
    let options = &mount.options;
    if request.method() != Method::GET {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "a WebSocket begins with GET").into_response());
    }
    refuse_when_draining(&mount)?;
    if !mount.allows_origin(request.headers()) || offered.none_known {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let params = Params::from_query(request.uri().query().unwrap_or_default())
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()).into_response())?;
    let serializer = mount.negotiate(&params).map_err(|_| StatusCode::FORBIDDEN.into_response())?;
    let key = check_headers(request.headers()).map_err(IntoResponse::into_response)?;
    let extension = options.compress.then(|| negotiate_extension(request.headers())).flatten();
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        Refused::new(StatusCode::UPGRADE_REQUIRED, "this connection cannot be upgraded: HTTP/1.1 is needed")
            .into_response()
    })?;
    let connected = mount.connect(params, &mut request, offered.auth_token).await;
    let connected = match connected {
        Err(NotConnected::Refused(refusal)) if refusal.is_final() => mount.socket.turned_away(&refusal),
        connected => connected.map_err(|error| refused(&mount, error))?,
    };
    // The drain tells those that are connected when it begins; `connect` may have taken its time.
    refuse_when_draining(&mount)?;

    let response = switching_protocols(&key, extension.as_ref());
    let agreed =
        Agreed { serializer, extension, max_frame_size: options.max_frame_size, idle_timeout: options.timeout };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => run(&flushers, connected, agreed, upgraded),
            Err(error) => tracing::debug!(%error, "the client left during the handshake"),
        }
    });
    Ok(response)
}

fn refuse_when_draining(mount: &Mounted) -> Result<(), Response> {
    if mount.socket.endpoint().is_draining() {
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down").into_response());
    }
    Ok(())
}

fn refused(mount: &Mounted, error: NotConnected) -> Response {
    match error {
        NotConnected::Refused(refusal) => match (&mount.options.error_handler, refusal.reason()) {
            (Some(handler), Some(_)) => handler(&refusal),
            _ => StatusCode::FORBIDDEN.into_response(),
        },
        NotConnected::Crashed => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        NotConnected::Crowded(crowded) => {
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, crowded.to_string()).into_response()
        }
    }
}

/// The upgrade headers of RFC 6455 §4.2.1; the error names what is there instead.
fn check_headers(headers: &HeaderMap) -> Result<HeaderValue, Refused> {
    let lists = |name: &HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    let got = |name: &HeaderName| headers.get_all(name).iter().map(|value| format!("{value:?}")).collect::<Vec<_>>();
    let bad = |text| Refused::new(StatusCode::BAD_REQUEST, text);
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

fn negotiate_extension(headers: &HeaderMap) -> Option<Negotiated> {
    deflate::negotiate(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|value| value.to_str().ok()))
}

fn switching_protocols(key: &HeaderValue, extension: Option<&Negotiated>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&handshake::accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(answer) = extension.and_then(|agreed| HeaderValue::from_str(&agreed.response()).ok()) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, answer);
    }
    response
}

/// Takes the stream back from hyper and drops hyper's buffers: from here on an idle connection holds none.
fn run(flushers: &Flushers<Link>, connected: Connected, agreed: Agreed, upgraded: Upgraded) {
    let queue = flushers.assign();
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let halves = stream::split_tcp(parts.io.into_inner());
            return driver::spawn(connected, agreed, halves, &parts.read_buf, queue);
        }
        Err(upgraded) => upgraded,
    };
    // `axum::serve` wraps the stream to tell HTTP/1 from HTTP/2.
    match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            let halves = stream::split_tcp(parts.io.into_inner());
            driver::spawn(connected, agreed, halves, &parts.read_buf, queue);
        }
        // TLS, or a listener of the application's own.
        Err(upgraded) => driver::spawn(connected, agreed, stream::split(TokioIo::new(upgraded)), &[], queue),
    }
}
