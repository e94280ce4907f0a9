//! The responses. Their status is in the body, which is what clients look at; HTTP's own says 200 unless the request
//! itself could not be.

use super::batch::Batch;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// What clients read in `status`.
pub(crate) const MESSAGES: u16 = 200;
pub(crate) const NO_MESSAGES: u16 = 204;
pub(crate) const BAD_REQUEST: u16 = 400;
pub(crate) const FORBIDDEN: u16 = 403;
/// The session is not there; an answer with a token has opened a new one.
pub(crate) const GONE: u16 = 410;
/// Makes phoenix.js try again later, which any status that it does not know does not.
pub(crate) const TRY_AGAIN: u16 = 500;

/// A status and nothing else.
pub(crate) fn status(status: u16) -> Response {
    json(format!(r#"{{"status":{status}}}"#).into_bytes())
}

/// The answer to a GET.
pub(crate) fn poll(status: u16, token: &str, batch: &Batch, reason: Option<&str>) -> Response {
    let mut body = Vec::new();
    body.extend_from_slice(br#"{"messages":["#);
    batch.write(&mut body);
    body.push(b']');
    if let Some(reason) = reason {
        body.extend_from_slice(format!(r#","reason":{}"#, serde_json::Value::from(reason)).as_bytes());
    }
    // A token is base64 and dots.
    body.extend_from_slice(format!(r#","status":{status},"token":"{token}"}}"#).as_bytes());
    json(body)
}

/// A status, and in words what is wrong.
pub(crate) fn refused(status: u16, reason: &str) -> Response {
    json(format!(r#"{{"reason":{},"status":{status}}}"#, serde_json::Value::from(reason)).into_bytes())
}

/// This server cannot take the client now.
pub(crate) fn overloaded(http: StatusCode, reason: &str) -> Response {
    let mut response = refused(TRY_AGAIN, reason);
    *response.status_mut() = http;
    response
}

/// A request that is none of this transport's.
pub(crate) fn malformed(reason: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, reason.into()).into_response()
}

/// The answer to a browser that asks what a page of another site may do.
pub(crate) fn preflight(request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("")));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("get, post, options"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// Lets the pages of all sites read a response.
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
