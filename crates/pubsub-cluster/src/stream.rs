//! A TCP connection to a broker, plain or with TLS.
//!
//! Engines open it, since some brokers upgrade to TLS only after a greeting. The session reads and writes its halves.

use crate::Address;
use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The TLS configuration of a connection: the trusted certificates, and the certificate of this program.
#[cfg(feature = "tls")]
pub type TlsConfig = std::sync::Arc<rustls::ClientConfig>;

/// The reading half of a connection.
pub(crate) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
/// The writing half of a connection.
pub(crate) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection to a broker.
pub struct Stream(Kind);

enum Kind {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Secure(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects, with Nagle's algorithm off.
    ///
    /// # Errors
    /// When the name cannot be resolved or the connection is refused.
    pub async fn connect(address: &Address) -> io::Result<Stream> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(Kind::Plain(stream)))
    }

    /// Upgrades the connection to TLS.
    ///
    /// # Errors
    /// When the host cannot be the name in a certificate, or the broker's certificate is not trusted.
    #[cfg(feature = "tls")]
    pub async fn secure(self, host: &str, config: &TlsConfig) -> io::Result<Stream> {
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        match self.0 {
            Kind::Plain(stream) => {
                let secure = tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await?;
                Ok(Stream(Kind::Secure(Box::new(secure))))
            }
            Kind::Secure(_) => Ok(self),
        }
    }

    /// Reads once, and appends to `bytes`.
    ///
    /// # Errors
    /// When the connection is broken or has ended.
    pub async fn read(&mut self, bytes: &mut BytesMut) -> io::Result<()> {
        let read = match &mut self.0 {
            Kind::Plain(stream) => stream.read_buf(bytes).await?,
            #[cfg(feature = "tls")]
            Kind::Secure(stream) => stream.read_buf(bytes).await?,
        };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(stream) => stream.write_all(bytes).await,
            #[cfg(feature = "tls")]
            Kind::Secure(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    pub(crate) fn split(self) -> (ReadHalf, WriteHalf) {
        match self.0 {
            Kind::Plain(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            #[cfg(feature = "tls")]
            Kind::Secure(stream) => {
                let (read, write) = tokio::io::split(*stream);
                (Box::new(read), Box::new(write))
            }
        }
    }
}
