//! The byte stream to a server: TCP, or TLS over TCP. [`dial`] opens it for the transports, which own it.

use super::address::Address;
use crate::ConnectError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// The TLS configuration; empty without the feature `tls`.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    pub(crate) config: Option<Arc<rustls::ClientConfig>>,
}

/// Connects to the server at `address`.
///
/// # Errors
/// [`ConnectError::Io`] and [`ConnectError::Tls`].
pub(crate) async fn dial(address: &Address, tls: &Tls) -> Result<Stream, ConnectError> {
    let name = || format!("{}:{}", address.host, address.port);
    let failed = |error: io::Error| ConnectError::Io { address: name(), source: Arc::new(error) };
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(failed)?;
    // Messages are small, and the client waits for the replies.
    tcp.set_nodelay(true).map_err(failed)?;
    if !address.secure {
        return Ok(Stream::Tcp(tcp));
    }
    start_tls(tcp, address, tls).await.map_err(|error| ConnectError::Tls { address: name(), source: Arc::new(error) })
}

#[cfg(feature = "tls")]
async fn start_tls(tcp: TcpStream, address: &Address, tls: &Tls) -> io::Result<Stream> {
    use rustls::pki_types::ServerName;
    let config = tls.config.clone().unwrap_or_else(public_roots);
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

#[cfg(not(feature = "tls"))]
async fn start_tls(_: TcpStream, _: &Address, _: &Tls) -> io::Result<Stream> {
    Err(io::Error::other("TLS is not compiled in, enable the feature `tls` of bennu-client"))
}

/// Returns a configuration that trusts Mozilla's list of authorities; created once, shared by all clients.
#[cfg(feature = "tls")]
fn public_roots() -> Arc<rustls::ClientConfig> {
    static CONFIG: std::sync::LazyLock<Arc<rustls::ClientConfig>> = std::sync::LazyLock::new(|| {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder =
            builder.with_safe_default_protocol_versions().expect("ring has cipher suites for TLS 1.2 and 1.3");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    });
    CONFIG.clone()
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
