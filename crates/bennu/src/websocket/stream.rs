//! The two halves of a client's stream: TCP, or any other stream (TLS) in a box.
//!
//! [`super::upgrade`] splits the stream; [`super::driver`] owns the read half and [`super::writer`] the write half. TCP
//! has variants of its own because any task can write to it without registering first, and because it needs no box.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A stream that is not plain TCP.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) enum ReadHalf {
    Tcp(OwnedReadHalf),
    Other(tokio::io::ReadHalf<Box<dyn Duplex>>),
}

pub(crate) enum WriteHalf {
    Tcp(OwnedWriteHalf),
    Other(tokio::io::WriteHalf<Box<dyn Duplex>>),
}

pub(crate) fn split_tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
}

pub(crate) fn split(stream: impl Duplex + 'static) -> (ReadHalf, WriteHalf) {
    let (read, write) = tokio::io::split(Box::new(stream) as Box<dyn Duplex>);
    (ReadHalf::Other(read), WriteHalf::Other(write))
}

impl ReadHalf {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self {
            ReadHalf::Tcp(half) => Pin::new(half).poll_read(cx, &mut buffer),
            ReadHalf::Other(half) => Pin::new(half).poll_read(cx, &mut buffer),
        };
        read.map_ok(|()| buffer.filled().len())
    }
}

impl WriteHalf {
    /// Writes as many bytes as the stream accepts. If it accepts none, wakes `waker` when that changes.
    pub(crate) fn poll_write(
        &mut self,
        waker: impl FnOnce() -> Waker,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            WriteHalf::Tcp(half) => {
                // Calls the system directly, without the budget of the task: one task writes for many connections.
                let written = match slices {
                    [one] => half.try_write(one),
                    many => half.try_write_vectored(many),
                };
                match written {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let waker = waker();
                        Pin::new(half).poll_write_vectored(&mut Context::from_waker(&waker), slices)
                    }
                    written => Poll::Ready(written),
                }
            }
            WriteHalf::Other(half) => Pin::new(half).poll_write_vectored(&mut Context::from_waker(&waker()), slices),
        }
    }

    /// Sends the bytes of earlier writes that TLS still buffers. If the stream accepts none, wakes `waker` when that
    /// changes.
    pub(crate) fn poll_flush(&mut self, waker: impl FnOnce() -> Waker) -> Poll<io::Result<()>> {
        match self {
            WriteHalf::Tcp(_) => Poll::Ready(Ok(())),
            WriteHalf::Other(half) => Pin::new(half).poll_flush(&mut Context::from_waker(&waker())),
        }
    }

    /// Sends FIN, and before it the close notification of TLS.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            WriteHalf::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            WriteHalf::Other(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}
