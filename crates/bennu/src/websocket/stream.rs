//! The two halves of a client's stream: TCP as tokio has it, or anything else (TLS) behind a box.
//!
//! TCP is kept apart because it can be written from any task without registering first, and costs no box.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Any stream that is not plain TCP.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) enum Reader {
    Tcp(OwnedReadHalf),
    Other(ReadHalf<Box<dyn Duplex>>),
}

pub(crate) enum Writer {
    Tcp(OwnedWriteHalf),
    Other(WriteHalf<Box<dyn Duplex>>),
}

pub(crate) fn split_tcp(stream: TcpStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    (Reader::Tcp(read), Writer::Tcp(write))
}

pub(crate) fn split(stream: impl Duplex + 'static) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(Box::new(stream) as Box<dyn Duplex>);
    (Reader::Other(read), Writer::Other(write))
}

impl Reader {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self {
            Reader::Tcp(half) => Pin::new(half).poll_read(cx, &mut buffer),
            Reader::Other(half) => Pin::new(half).poll_read(cx, &mut buffer),
        };
        read.map_ok(|()| buffer.filled().len())
    }
}

impl Writer {
    /// Writes what it can; when nothing can be written, the waker is told once that changes.
    pub(crate) fn poll_write(
        &mut self,
        waker: impl FnOnce() -> Waker,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Writer::Tcp(half) => {
                // Straight to the system call, without the task's budget: one task writes for many connections.
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
            Writer::Other(half) => Pin::new(half).poll_write_vectored(&mut Context::from_waker(&waker()), slices),
        }
    }

    /// Hands over what TLS still keeps of earlier writes; when it cannot, the waker is told once that changes.
    pub(crate) fn poll_flush(&mut self, waker: impl FnOnce() -> Waker) -> Poll<io::Result<()>> {
        match self {
            Writer::Tcp(_) => Poll::Ready(Ok(())),
            Writer::Other(half) => Pin::new(half).poll_flush(&mut Context::from_waker(&waker())),
        }
    }

    /// Sends FIN (and what TLS sends before it).
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Writer::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Writer::Other(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}
