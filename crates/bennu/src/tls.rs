//! `wss://` by rustls.

use crate::serve::serve_with;
use axum::Router;
use bennu_channels::{Drain, Drained, Endpoint};
use rustls::ServerConfig;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// As [`crate::serve`], over TLS. The configuration holds the certificate; see rustls for how to load one.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    app: Router,
    endpoint: &Endpoint,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let acceptor = TlsAcceptor::from(tls);
    serve_with(listener, app, endpoint, drain, shutdown, move |stream| {
        let accepting = acceptor.accept(stream);
        async move {
            tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting)
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake took over 10 s")))
        }
    })
    .await
}
