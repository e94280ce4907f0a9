//! One accepted connection: the TLS handshake, if the server has TLS, and then HTTP/1.1.
//!
//! [`crate::serve`] creates an [`HttpConnection`] for each accepted stream and runs it in a task of
//! [`super::half_open`]. Invariant: a client that does not finish its TLS handshake or its request headers within 10 s
//! loses its connection.

use super::half_open::Handshake;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower_service::Service;

/// How long a TLS handshake may take.
#[cfg(feature = "tls")]
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send the headers of its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest size of a request line and its headers together, in bytes: enough for a URI with a token and for many
/// cookies. The limit of hyper is 400 KB, which thousands of clients that never finish their headers could all fill.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// An accepted connection.
pub(crate) struct HttpConnection {
    pub(crate) app: Router,
    /// The address of the client, if the listener is TCP.
    pub(crate) peer: Option<SocketAddr>,
    /// Becomes `true` when the server shuts down. Its receivers are the connections that the server waits for.
    pub(crate) shutdown: watch::Sender<bool>,
}

impl HttpConnection {
    /// Performs the TLS handshake and serves HTTP/1.1 over the encrypted stream.
    #[cfg(feature = "tls")]
    pub(crate) async fn serve_tls<I>(
        self,
        config: std::sync::Arc<rustls::ServerConfig>,
        stream: I,
        handshake: Handshake,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let accepting = tokio_rustls::TlsAcceptor::from(config).accept(stream);
        let peer = self.peer.map(tracing::field::display);
        match tokio::time::timeout(TLS_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => self.serve(stream, handshake).await,
            Ok(Err(error)) => tracing::debug!(peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer, limit = ?TLS_TIMEOUT, "TLS handshake timed out"),
        }
    }

    /// Serves HTTP/1.1 until the stream ends or is upgraded, or until the response after `shutdown`.
    pub(crate) async fn serve<I>(self, stream: I, handshake: Handshake)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let HttpConnection { app, peer, shutdown } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            handshake.complete();
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            // A router is always ready.
            app.clone().call(request)
        });
        let mut shutting_down = shutdown.subscribe();
        drop(shutdown);
        let http = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut http = std::pin::pin!(http);
        let shutdown = async {
            if shutting_down.wait_for(|shutdown| *shutdown).await.is_err() {
                // The server was dropped without a shutdown; the connection goes on.
                pending().await
            }
        };
        let result = tokio::select! {
            result = http.as_mut() => result,
            () = shutdown => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(peer = peer.map(tracing::field::display), %error, "connection ended with an error");
        }
    }
}
