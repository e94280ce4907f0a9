//! A minimal HTTP/1.1 client for the transports: one connection, one request at a time, a bounded response body.
//!
//! hyper parses. No task is spawned: the future that waits for a response drives the connection meanwhile. A connection
//! that the server keeps open is reused.

use super::address::Address;
use super::stream::{Stream, Tls, dial};
use crate::ConnectError;
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

/// The bytes of a refusal's body that are kept.
const REFUSAL_BYTES: usize = 1024;

/// The time limit of each part of a refusal's body. Without the body, the error still has the status.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// hyper's future of a connection; `None` after it has ended.
pub(crate) type ConnectionFuture<F> = Option<Pin<Box<F>>>;

/// Sends requests to one server.
pub(crate) struct HttpClient {
    address: Arc<Address>,
    tls: Tls,
    open: Option<(SendRequest<Full<Bytes>>, ConnectionFuture<Connection<TokioIo<Stream>, Full<Bytes>>>)>,
}

impl HttpClient {
    pub(crate) fn new(address: Arc<Address>, tls: Tls) -> Self {
        HttpClient { address, tls, open: None }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and returns the response's status and body.
    ///
    /// `request` builds the request: a second time when the kept connection turns out to be closed.
    ///
    /// # Errors
    /// The client could not connect, the response is not HTTP, or its body is longer than `max_body` bytes.
    pub(crate) async fn exchange(
        &mut self,
        request: impl Fn() -> Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<(StatusCode, Bytes), ConnectError> {
        if let Some((sender, mut connection)) = self.open.take() {
            // The server may have closed the idle connection.
            match drive(&mut connection, self.exchange_over(sender, self.with_headers(request()), max_body)).await {
                Ok((status, body, sender)) => {
                    self.open = sender.map(|sender| (sender, connection));
                    return Ok((status, body));
                }
                Err(ExchangeError::NotSent) => {}
                Err(ExchangeError::Failed(error)) => return Err(error),
            }
        }
        let stream = dial(&self.address, &self.tls).await?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.connect_error(&error))?;
        let mut connection = Some(Box::pin(connection));
        match drive(&mut connection, self.exchange_over(sender, self.with_headers(request()), max_body)).await {
            Ok((status, body, sender)) => {
                self.open = sender.map(|sender| (sender, connection));
                Ok((status, body))
            }
            Err(ExchangeError::NotSent) => Err(self.connect_error(&io::Error::from(io::ErrorKind::ConnectionReset))),
            Err(ExchangeError::Failed(error)) => Err(error),
        }
    }

    fn with_headers(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        request.headers_mut().extend(self.address.headers.clone());
        request
    }

    async fn exchange_over(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<(StatusCode, Bytes, Option<SendRequest<Full<Bytes>>>), ExchangeError> {
        sender.ready().await.map_err(|_| ExchangeError::NotSent)?;
        let response = sender.send_request(request).await.map_err(|error| match error.is_canceled() {
            true => ExchangeError::NotSent,
            false => ExchangeError::Failed(self.connect_error(&error)),
        })?;
        let status = response.status();
        let body = match Limited::new(response.into_body(), max_body).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Err(ExchangeError::Failed(ConnectError::Handshake(error.to_string()))),
        };
        Ok((status, body, (!sender.is_closed()).then_some(sender)))
    }

    fn connect_error(&self, error: &(dyn std::error::Error + 'static)) -> ConnectError {
        connect_error(&self.address, error)
    }
}

enum ExchangeError {
    /// The connection was closed before the request was sent.
    NotSent,
    Failed(ConnectError),
}

/// Returns the error of a connection that failed during a request: the I/O error among its causes, if there is one.
pub(crate) fn connect_error(address: &Address, error: &(dyn std::error::Error + 'static)) -> ConnectError {
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

/// Reads the start of a refusal's body and returns the error with it.
pub(crate) async fn read_refusal(status: StatusCode, body: Incoming) -> ConnectError {
    let mut body = pin!(body);
    let mut text = Vec::new();
    while text.len() < REFUSAL_BYTES
        && let Ok(Some(Ok(frame))) = timeout(REFUSAL_TIMEOUT, body.as_mut().frame()).await
    {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
    }
    refusal(status, &text)
}

/// Returns the error of a refusal with this body. A status below 300 is not a refusal: the responder is not a socket.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> ConnectError {
    if status.as_u16() < 300 {
        return ConnectError::Handshake(format!("the response has the unexpected status {}", status.as_u16()));
    }
    let body = &body[..body.len().min(REFUSAL_BYTES)];
    ConnectError::Refused { status: status.as_u16(), body: String::from_utf8_lossy(body).trim().to_owned() }
}

/// Drives the connection until `work` is done; `work` makes progress only while the connection is driven.
pub(crate) async fn drive<T>(connection: &mut ConnectionFuture<impl Future>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // The work may pass data to the connection to send, and the connection may read data for the work.
        for _ in 0..2 {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                *connection = None;
            }
        }
        work.as_mut().poll(cx)
    })
    .await
}
