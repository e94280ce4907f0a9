//! The long-poll transport: one HTTP connection polls for messages, another one posts messages.
//!
//! The driver polls both halves as one future, whenever it is woken; so the posting half needs no waker of its own.
//!
//! The session's token is part of the query, as in phoenix.js. A header would keep it out of access logs, but only
//! Phoenix 1.8.10 and later read it there. Each response brings a new token, which records the messages that the client
//! has received.

use super::address::Address;
use super::http::{HttpClient, refusal};
use super::stream::Tls;
use crate::session::Intent;
use crate::shared::Shared;
use crate::{ConnectError, ConnectParams, ConnectionError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bennu_protocol::{Frame, FrameKind};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use parking_lot::Mutex;
use serde::Deserialize;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// The time limit of a request: twice the poll window of an idle server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The most messages of one POST. Phoenix silently drops all after the hundredth.
const BATCH_MESSAGES: usize = 100;

/// The approximate size of one POST, in bytes; Phoenix accepts 8,000,000.
const BATCH_BYTES: usize = 1024 * 1024;

/// The limit of a response, in multiples of the limit of one message: a response may hold many messages.
const RESPONSE_MESSAGES: usize = 4;

pub(crate) struct LongPoll {
    poller: HttpClient,
    poster: HttpClient,
    token: String,
    max_response: usize,
}

/// The body of a response. Its status is that of the protocol; the HTTP status is 200.
#[derive(Deserialize)]
struct PollResponse {
    status: u16,
    token: Option<String>,
    #[serde(default)]
    messages: Vec<String>,
}

impl LongPoll {
    /// Opens a session.
    ///
    /// # Errors
    /// The client could not connect, the server refused, or its response is not one of long poll.
    pub(crate) async fn open(
        address: Arc<Address>,
        tls: &Tls,
        params: &ConnectParams,
        auth_token: Option<&str>,
        max_message_size: usize,
    ) -> Result<Self, ConnectError> {
        let mut poller = HttpClient::new(Arc::clone(&address), tls.clone());
        let target = address.connect_target("longpoll", params);
        let token = match auth_token.map(header::HeaderValue::from_str) {
            Some(Err(_)) => {
                let reason = "the auth token is not a valid header value, it may contain visible ASCII only";
                return Err(ConnectError::Handshake(reason.to_owned()));
            }
            Some(Ok(token)) => Some(token),
            None => None,
        };
        let request = || {
            let mut request = get(&target, &address.authority);
            if let Some(token) = &token {
                request.headers_mut().insert("x-phoenix-authtoken", token.clone());
            }
            request
        };
        let max_response = max_message_size.saturating_mul(RESPONSE_MESSAGES);
        let (status, body) = poller.exchange(request, max_response).await?;
        if status != StatusCode::OK {
            return Err(refusal(status, &body));
        }
        let response = parse(&body)?;
        match (response.status, response.token) {
            (410, Some(token)) => {
                Ok(LongPoll { poller, poster: HttpClient::new(address, tls.clone()), token, max_response })
            }
            (status, _) => Err(refusal(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), &body)),
        }
    }

    /// Exchanges messages with the server; returns how the connection ended.
    pub(crate) async fn run(self, shared: Arc<Shared>) -> ConnectionError {
        let LongPoll { poller, poster, token, max_response } = self;
        let token = Mutex::new(token);
        tokio::select! {
            error = poll(poller, &token, max_response, &shared) => error,
            error = post(poster, &token, &shared) => error,
        }
    }
}

async fn poll(mut http: HttpClient, token: &Mutex<String>, max_response: usize, shared: &Shared) -> ConnectionError {
    let authority = http.address().authority.clone();
    loop {
        let target = http.address().session_target(&token.lock());
        let exchange = http.exchange(|| get(&target, &authority), max_response);
        let response = match in_time(exchange).await {
            Ok(response) => response,
            Err(error) => return error,
        };
        if let Some(newer) = response.token.filter(|_| response.status != 410) {
            *token.lock() = newer;
        }
        match response.status {
            200 => shared.update(|session| {
                let now = Shared::now();
                response.messages.iter().for_each(|message| session.receive(now, Frame::Text(message)));
            }),
            204 => {}
            410 => return ConnectionError::SessionGone,
            status => return ConnectionError::Protocol(format!("the response to a poll has the status {status}")),
        }
        // Yields to the posting half, whose messages the received ones may have released, and to other tasks, even when
        // every response arrives at once.
        tokio::task::yield_now().await;
    }
}

async fn post(mut http: HttpClient, token: &Mutex<String>, shared: &Shared) -> ConnectionError {
    let authority = http.address().authority.clone();
    loop {
        let Some(batch) = poll_fn(|_| poll_batch(shared)).await else { return ConnectionError::Disconnected };
        let target = http.address().session_target(&token.lock());
        let request = || {
            let mut request = Request::new(Full::new(batch.clone()));
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = target.parse().unwrap_or_default();
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
            headers.extend(authority.parse().ok().map(|host| (header::HOST, host)));
            request
        };
        match in_time(http.exchange(request, BATCH_BYTES)).await {
            Ok(PollResponse { status: 200, .. }) => {}
            Ok(PollResponse { status: 410, .. }) => return ConnectionError::SessionGone,
            Ok(PollResponse { status, .. }) => {
                return ConnectionError::Protocol(format!("the response to a POST has the status {status}"));
            }
            Err(error) => return error,
        }
    }
}

/// Returns the queued messages, one a line; `None` when the connection should be closed.
fn poll_batch(shared: &Shared) -> Poll<Option<Bytes>> {
    shared.update(|session| {
        let mut batch = Vec::new();
        for _ in 0..BATCH_MESSAGES {
            let start = batch.len();
            match session.transmit(&mut batch) {
                // In JSON a line feed occurs between tokens only, where a space means the same.
                Some(FrameKind::Text) => {
                    batch[start..]
                        .iter_mut()
                        .filter(|byte| matches!(byte, b'\n' | b'\r'))
                        .for_each(|byte| *byte = b' ');
                }
                Some(FrameKind::Binary) => {
                    let line = STANDARD.encode(&batch[start..]);
                    batch.truncate(start);
                    batch.extend_from_slice(line.as_bytes());
                }
                None => break,
            }
            batch.push(b'\n');
            if batch.len() >= BATCH_BYTES {
                break;
            }
        }
        // Phoenix reads an empty last line as a message.
        batch.pop();
        match (batch.is_empty(), session.intent()) {
            (false, _) => Poll::Ready(Some(batch.into())),
            (true, Intent::Close) => Poll::Ready(None),
            (true, _) => Poll::Pending,
        }
    })
}

fn get(target: &str, authority: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = target.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    headers.extend(authority.parse().ok().map(|host| (header::HOST, host)));
    request
}

/// Waits for the response to a request within a session, [`REQUEST_TIMEOUT`] at most.
async fn in_time(
    exchange: impl Future<Output = Result<(StatusCode, Bytes), ConnectError>>,
) -> Result<PollResponse, ConnectionError> {
    match timeout(REQUEST_TIMEOUT, exchange).await {
        Err(_) => Err(ConnectionError::Timeout { after: REQUEST_TIMEOUT }),
        Ok(Err(error)) => Err(connection_error(error)),
        Ok(Ok((StatusCode::OK, body))) => parse(&body).map_err(connection_error),
        Ok(Ok((status, body))) => Err(connection_error(refusal(status, &body))),
    }
}

/// Converts the error of a request within an open session, which is no longer an attempt to connect.
fn connection_error(error: ConnectError) -> ConnectionError {
    match error {
        ConnectError::Io { source, .. } => ConnectionError::Io(source),
        ConnectError::Handshake(reason) => ConnectionError::Protocol(reason),
        error => ConnectionError::Attempt(error),
    }
}

fn parse(body: &[u8]) -> Result<PollResponse, ConnectError> {
    serde_json::from_slice(body)
        .map_err(|error| ConnectError::Handshake(format!("the body is not a long-poll response: {error}")))
}
