//! The HTTP responses of long polling.
//!
//! [`super::service`] builds every response here. Clients read the status in the body; the status of HTTP is 200 except
//! for a malformed request (400), a limit of a peer (429), a draining or overloaded node (503), and a `connect` that
//! panics (500).

use super::batch::Batch;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// The values of `status` in a body.
pub(crate) const MESSAGES: u16 = 200;
pub(crate) const NO_MESSAGES: u16 = 204;
pub(crate) const BAD_REQUEST: u16 = 400;
pub(crate) const FORBIDDEN: u16 = 403;
/// The session does not exist. If the response contains a token, a new session is open.
pub(crate) const GONE: u16 = 410;
/// Makes phoenix.js retry later; it does not retry after a status that it does not implement.
pub(crate) const TRY_AGAIN: u16 = 500;

/// Returns a response that contains only a status.
pub(crate) fn status(status: u16) -> Response {
    json(format!(r#"{{"status":{status}}}"#).into_bytes())
}

/// Returns the response to a GET.
pub(crate) fn poll(status: u16, token: &str, batch: &Batch, reason: Option<&str>) -> Response {
    let mut body = Vec::new();
    body.extend_from_slice(br#"{"messages":["#);
    batch.write(&mut body);
    body.push(b']');
    if let Some(reason) = reason {
        body.extend_from_slice(format!(r#","reason":{}"#, serde_json::Value::from(reason)).as_bytes());
    }
    // A token consists of base64 and dots, so it needs no escaping.
    body.extend_from_slice(format!(r#","status":{status},"token":"{token}"}}"#).as_bytes());
    json(body)
}

/// Returns a response with a status and the reason for it.
pub(crate) fn refused(status: u16, reason: &str) -> Response {
    json(format!(r#"{{"reason":{},"status":{status}}}"#, serde_json::Value::from(reason)).into_bytes())
}

/// Returns the response of a server that cannot accept the client at present.
pub(crate) fn overloaded(http: StatusCode, reason: &str) -> Response {
    let mut response = refused(TRY_AGAIN, reason);
    *response.status_mut() = http;
    response
}

/// Returns the response to a request that is not part of the long-poll protocol.
pub(crate) fn malformed(reason: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, reason.into()).into_response()
}

/// Returns the response to the CORS preflight of a browser.
pub(crate) fn preflight(request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let requested = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.unwrap_or(HeaderValue::from_static("")));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("get, post, options"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// Adds the header that lets pages of other sites read the response.
pub(crate) fn allow_other_sites(response: &mut Response) {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
