//! `wss://` by rustls: the handshake of a connection that was accepted.

use rustls::ServerConfig;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Secures a stream.
///
/// # Errors
/// The handshake's, or that it took too long.
pub(crate) fn accept<I>(config: Arc<ServerConfig>, stream: I) -> impl Future<Output = io::Result<TlsStream<I>>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let accepting = TlsAcceptor::from(config).accept(stream);
    async move {
        tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake took over 10 s")))
    }
}
