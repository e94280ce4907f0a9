//! HTTP/1.1 as the transports need it: one connection, one request at a time, a bounded body.
//!
//! hyper parses; nothing is spawned: whoever waits for a response drives the connection meanwhile. A connection that the
//! server keeps open is used again.

use crate::ConnectError;
use crate::address::Address;
use crate::stream::{Stream, Tls, dial};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// What of a refusal's body is kept, in bytes.
const REFUSAL_BYTES: usize = 1024;

/// How long a part of it is waited for: the status is known already.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// hyper's half of a connection, until it has ended.
pub(crate) type Running<F> = Option<Pin<Box<F>>>;

/// Requests to one server.
pub(crate) struct Http {
    address: Arc<Address>,
    tls: Tls,
    open: Option<(SendRequest<Full<Bytes>>, Running<Connection<TokioIo<Stream>, Full<Bytes>>>)>,
}

impl Http {
    pub(crate) fn new(address: Arc<Address>, tls: Tls) -> Self {
        Http { address, tls, open: None }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and returns the answer with at most `max_body` bytes.
    ///
    /// # Errors
    /// The server cannot be reached, what it answers is no HTTP, or the body is over the limit.
    pub(crate) async fn exchange(
        &mut self,
        request: impl Fn() -> Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<(StatusCode, Bytes), ConnectError> {
        if let Some((sender, mut running)) = self.open.take() {
            // A server may have hung up while nothing was asked of it.
            match beside(&mut running, self.converse(sender, request(), max_body)).await {
                Ok((status, body, sender)) => {
                    self.open = sender.map(|sender| (sender, running));
                    return Ok((status, body));
                }
                Err(Failure::NotSent) => {}
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        let stream = dial(&self.address, &self.tls).await?;
        let (sender, running) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        let mut running = Some(Box::pin(running));
        match beside(&mut running, self.converse(sender, request(), max_body)).await {
            Ok((status, body, sender)) => {
                self.open = sender.map(|sender| (sender, running));
                Ok((status, body))
            }
            Err(Failure::NotSent) => Err(self.broken(&io::Error::from(io::ErrorKind::ConnectionReset))),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    async fn converse(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<(StatusCode, Bytes, Option<SendRequest<Full<Bytes>>>), Failure> {
        sender.ready().await.map_err(|_| Failure::NotSent)?;
        let response = sender.send_request(request).await.map_err(|error| match error.is_canceled() {
            true => Failure::NotSent,
            false => Failure::Broken(self.broken(&error)),
        })?;
        let status = response.status();
        let body = match Limited::new(response.into_body(), max_body).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Err(Failure::Broken(ConnectError::Handshake(error.to_string()))),
        };
        Ok((status, body, (!sender.is_closed()).then_some(sender)))
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> ConnectError {
        broken(&self.address, error)
    }
}

enum Failure {
    /// The connection was gone before the request was.
    NotSent,
    Broken(ConnectError),
}

/// A connection that has died under a request.
pub(crate) fn broken(address: &Address, error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let source = Arc::new(io::Error::new(io.kind(), io.to_string()));
            return ConnectError::Io { address: format!("{}:{}", address.host, address.port), source };
        }
        cause = error.source();
    }
    ConnectError::Handshake(error.to_string())
}

/// A refusal, with the start of what the server says.
pub(crate) async fn refusal(status: StatusCode, body: Incoming) -> ConnectError {
    let mut body = pin!(body);
    let mut text = Vec::new();
    while text.len() < REFUSAL_BYTES
        && let Ok(Some(Ok(frame))) = timeout(REFUSAL_TIMEOUT, body.as_mut().frame()).await
    {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
    }
    refused(status, &text)
}

/// As [`refusal`], of a body that is here. What is no error of HTTP is no refusal: somebody else answers there.
pub(crate) fn refused(status: StatusCode, body: &[u8]) -> ConnectError {
    if status.as_u16() < 300 {
        return ConnectError::Handshake(format!("it answers with status {}", status.as_u16()));
    }
    let body = &body[..body.len().min(REFUSAL_BYTES)];
    ConnectError::Refused { status: status.as_u16(), body: String::from_utf8_lossy(body).trim().to_owned() }
}

/// Waits for `work` and runs the connection meanwhile, which `work` needs in order to go on.
pub(crate) async fn beside<T>(running: &mut Running<impl Future>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // The work may hand something over, which the connection sends; what the connection reads is for the work.
        for _ in 0..2 {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if running.as_mut().is_some_and(|running| running.as_mut().poll(cx).is_ready()) {
                *running = None;
            }
        }
        work.as_mut().poll(cx)
    })
    .await
}
