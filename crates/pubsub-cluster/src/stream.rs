//! A TCP connection to a broker, plain or secured by TLS.
//!
//! Engines open it, because some of them upgrade it to TLS only after a greeting; the session reads and writes its halves.

use crate::Address;
use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a TLS connection is made: which certificates are trusted, and which is shown.
#[cfg(feature = "tls")]
pub type TlsConfig = std::sync::Arc<rustls::ClientConfig>;

/// What reads from a broker.
pub(crate) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
/// What writes to one.
pub(crate) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection to a broker.
pub struct Stream(Kind);

enum Kind {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Secure(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects, without Nagle's delay.
    ///
    /// # Errors
    /// When the name is unknown, or nobody listens there.
    pub async fn connect(address: &Address) -> io::Result<Stream> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(Kind::Plain(stream)))
    }

    /// Makes the connection a TLS one.
    ///
    /// # Errors
    /// When the host is no name that a certificate can have, or the engine's certificate is not trusted.
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

    /// Reads once, behind what `bytes` holds.
    ///
    /// # Errors
    /// When the connection breaks, or has ended.
    pub async fn read(&mut self, bytes: &mut BytesMut) -> io::Result<()> {
        let read = match &mut self.0 {
            Kind::Plain(stream) => stream.read_buf(bytes).await?,
            #[cfg(feature = "tls")]
            Kind::Secure(stream) => stream.read_buf(bytes).await?,
        };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the connection breaks.
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
