//! The long-poll transport: a request that waits for messages, and one that brings them, each on a connection of its own.
//!
//! The driver runs it as one future. Both halves are polled whenever the driver is woken, so the half that sends needs no
//! waker of its own.
//!
//! The session's token travels in the query, as phoenix.js sends it: a header would keep it out of access logs, but only
//! Phoenix 1.8.10 and later read it there. Each answer brings a new one, which says what the client has received.

use crate::address::Address;
use crate::http1::{Http, refused};
use crate::session::Intent;
use crate::shared::Shared;
use crate::stream::Tls;
use crate::{ConnectError, Lost, Params};
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

/// How long a request may wait for its answer: twice the window of a server that has nothing to say.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Messages of one request. Phoenix drops what is over a hundred without a word.
const BATCH_MESSAGES: usize = 100;

/// About how many bytes one request brings; Phoenix takes 8,000,000.
const BATCH_BYTES: usize = 1024 * 1024;

/// An answer may hold many messages: this many times the limit of one.
const ANSWER_MESSAGES: usize = 4;

pub(crate) struct LongPoll {
    receiving: Http,
    sending: Http,
    token: String,
    max_answer: usize,
}

/// What the server answers; the status stands here and not in HTTP.
#[derive(Deserialize)]
struct Answer {
    status: u16,
    token: Option<String>,
    #[serde(default)]
    messages: Vec<String>,
}

impl LongPoll {
    /// Opens a session.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or does not speak long poll.
    pub(crate) async fn open(
        address: Arc<Address>,
        tls: &Tls,
        params: &Params,
        auth_token: Option<&str>,
        max_message_size: usize,
    ) -> Result<Self, ConnectError> {
        let mut receiving = Http::new(Arc::clone(&address), tls.clone());
        let target = address.open("longpoll", params);
        let token = match auth_token.map(header::HeaderValue::from_str) {
            Some(Err(_)) => return Err(ConnectError::Handshake("the auth token cannot stand in a header".to_owned())),
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
        let max_answer = max_message_size.saturating_mul(ANSWER_MESSAGES);
        let (status, body) = receiving.exchange(request, max_answer).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &body));
        }
        let answer: Answer = read(&body)?;
        match (answer.status, answer.token) {
            (410, Some(token)) => {
                Ok(LongPoll { receiving, sending: Http::new(address, tls.clone()), token, max_answer })
            }
            (status, _) => Err(refused(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), &body)),
        }
    }

    /// Carries messages until the connection is lost or to be closed.
    pub(crate) async fn run(self, shared: Arc<Shared>) -> Lost {
        let LongPoll { receiving, sending, token, max_answer } = self;
        let token = Mutex::new(token);
        tokio::select! {
            lost = receive(receiving, &token, max_answer, &shared) => lost,
            lost = send(sending, &token, &shared) => lost,
        }
    }
}

async fn receive(mut http: Http, token: &Mutex<String>, max_answer: usize, shared: &Shared) -> Lost {
    let authority = http.address().authority.clone();
    loop {
        let target = http.address().resume(&token.lock());
        let exchange = http.exchange(|| get(&target, &authority), max_answer);
        let answer = match within(exchange).await {
            Ok(answer) => answer,
            Err(lost) => return lost,
        };
        if let Some(newer) = answer.token.filter(|_| answer.status != 410) {
            *token.lock() = newer;
        }
        match answer.status {
            200 => shared.drive(|session| {
                let now = Shared::now();
                answer.messages.iter().for_each(|message| session.receive(now, Frame::Text(message)));
            }),
            204 => {}
            410 => return Lost::SessionGone,
            status => return Lost::Protocol(format!("a poll was answered with status {status}")),
        }
        // The half that sends gets its turn, for what the messages have set free, and so do other tasks, even where each
        // answer is here at once.
        tokio::task::yield_now().await;
    }
}

async fn send(mut http: Http, token: &Mutex<String>, shared: &Shared) -> Lost {
    let authority = http.address().authority.clone();
    loop {
        let Some(batch) = poll_fn(|_| poll_batch(shared)).await else { return Lost::Disconnected };
        let target = http.address().resume(&token.lock());
        let request = || {
            let mut request = Request::new(Full::new(batch.clone()));
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = target.parse().unwrap_or_default();
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
            headers.extend(authority.parse().ok().map(|host| (header::HOST, host)));
            request
        };
        match within(http.exchange(request, BATCH_BYTES)).await {
            Ok(Answer { status: 200, .. }) => {}
            Ok(Answer { status: 410, .. }) => return Lost::SessionGone,
            Ok(Answer { status, .. }) => return Lost::Protocol(format!("messages were answered with status {status}")),
            Err(lost) => return lost,
        }
    }
}

/// The messages that wait, one a line; nothing when the connection is to be closed.
fn poll_batch(shared: &Shared) -> Poll<Option<Bytes>> {
    shared.drive(|session| {
        let mut batch = Vec::new();
        for _ in 0..BATCH_MESSAGES {
            let start = batch.len();
            match session.transmit(&mut batch) {
                // A line feed can only stand between the tokens of JSON, where a blank does the same.
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
        // Phoenix takes an empty last line for a message.
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

/// An answer in time.
async fn within(exchange: impl Future<Output = Result<(StatusCode, Bytes), ConnectError>>) -> Result<Answer, Lost> {
    match timeout(REQUEST_TIMEOUT, exchange).await {
        Err(_) => Err(Lost::Silent { after: REQUEST_TIMEOUT }),
        Ok(Err(error)) => Err(lost(error)),
        Ok(Ok((StatusCode::OK, body))) => read(&body).map_err(lost),
        Ok(Ok((status, body))) => Err(lost(refused(status, &body))),
    }
}

/// What fails within a session is no attempt any more.
fn lost(error: ConnectError) -> Lost {
    match error {
        ConnectError::Io { source, .. } => Lost::Io(source),
        ConnectError::Handshake(reason) => Lost::Protocol(reason),
        error => Lost::Attempt(error),
    }
}

fn read(body: &[u8]) -> Result<Answer, ConnectError> {
    serde_json::from_slice(body).map_err(|error| ConnectError::Handshake(format!("no long-poll answer: {error}")))
}
