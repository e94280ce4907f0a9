//! The driver: the task of one WebSocket connection. It reads, decodes, passes messages to the [`Connection`], answers
//! pings, keeps the idle timer, and completes the closing handshake.
//!
//! [`super::upgrade`] spawns it. Invariants: an idle driver holds no buffer, because it reads into a scratch buffer of
//! the thread; it ends when the stream has ended; it calls [`Connection::finish`] exactly once.

use super::flusher::FlushQueue;
use super::framing;
use super::stream::{ReadHalf, WriteHalf};
use super::writer::{Phase, Writer};
use bennu_channels::protocol::{Close, Frame, Serializer};
use bennu_channels::transport::{Connected, Connection, Encoding};
use bennu_websocket::{Decoder, DecoderLimits, DeflateParameters, Incoming, encode};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long a client may take to answer a close frame, and then to end the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads in one poll, after which the timer and other tasks run: a client that sends without a pause must not starve
/// them. Far fewer than the 128 operations of tokio's budget for a task; a timer does not fire once that is used up.
const READS_PER_POLL: u32 = 16;

/// The parameters of a connection, settled by its mount and its handshake.
pub(crate) struct ConnectionConfig {
    pub(crate) serializer: Serializer,
    pub(crate) extension: Option<DeflateParameters>,
    pub(crate) max_frame_size: usize,
    pub(crate) idle_timeout: Duration,
}

/// Spawns the driver of a connection. `read_buf` contains the bytes that arrived together with the handshake.
pub(crate) fn spawn(
    connected: Connected,
    config: ConnectionConfig,
    (read, write): (ReadHalf, WriteHalf),
    read_buf: &[u8],
    queue: Arc<FlushQueue>,
) {
    let writer = Writer::new(write, queue);
    let framing = framing::of(config.extension.as_ref());
    let encoding = Encoding { serializer: config.serializer, framing };
    let connection = connected.open(encoding, writer.clone());
    writer.attach(&connection);
    let limits = DecoderLimits { max_frame_size: config.max_frame_size };
    let mut driver = Box::new(Driver {
        read,
        decoder: Decoder::new(limits, config.extension.as_ref()),
        writer,
        last_read: Instant::now(),
        idle_timeout: config.idle_timeout,
        timer: Box::pin(sleep(config.idle_timeout)),
        stage: Stage::Open,
        registered: false,
        ignores_input: false,
        connection,
    });
    if !read_buf.is_empty() {
        driver.process(&mut read_buf.to_vec());
    }
    tokio::spawn(driver);
}

struct Driver {
    read: ReadHalf,
    decoder: Decoder,
    writer: Arc<Writer>,
    /// The time of the last read that returned bytes.
    last_read: Instant,
    idle_timeout: Duration,
    /// While the connection is open: the next check of the idle timeout. Afterwards: the deadline of the closing.
    timer: Pin<Box<Sleep>>,
    stage: Stage,
    /// Whether the writer has the waker of this task, which it wakes when the closing advances.
    registered: bool,
    /// Whether further input is dropped: after the client's close frame, and after input that could not be decoded.
    ignores_input: bool,
    connection: Arc<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Messages are exchanged.
    Open,
    /// The close frame of the server is queued or written; the close frame of the client is awaited.
    Closing,
    /// Both close frames are exchanged. The server has sent FIN, and the FIN of the client is awaited.
    Lingering,
}

/// Closes the stream and ends the channels, for every way in which the driver can end.
impl Drop for Driver {
    fn drop(&mut self) {
        self.writer.release();
        self.connection.finish();
    }
}

/// The task of the connection. It is written by hand, so that its memory is only the fields above.
impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        if !std::mem::replace(&mut driver.registered, true) {
            driver.writer.set_driver(cx.waker());
        }
        for reads in 1.. {
            if driver.stage != Stage::Lingering && !driver.writer.is_open() && driver.advance_closing() {
                return Poll::Ready(());
            }
            if driver.stage == Stage::Lingering && driver.writer.poll_shutdown(cx).is_pending() {
                break;
            }
            match driver.poll_read(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            if reads == READS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
        }
        driver.poll_timer(cx)
    }
}

impl Driver {
    /// Advances the closing to the phase of the writer; returns `true` if the stream is broken.
    fn advance_closing(&mut self) -> bool {
        let next = match self.writer.phase() {
            Phase::Failed => return true,
            // The server sends FIN before it closes the stream; otherwise a reset could overtake the close frame.
            Phase::Closed(_) if self.ignores_input => Stage::Lingering,
            _ => Stage::Closing,
        };
        if next != self.stage {
            self.stage = next;
            self.timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
        }
        false
    }

    /// Checks the idle timeout or the deadline of the closing. A read does not reset the timer; the timer compares the
    /// time of the last read when it fires.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.last_read + self.idle_timeout;
            if self.stage != Stage::Open {
                return Poll::Ready(());
            } else if due > Instant::now() {
                self.timer.as_mut().reset(due);
            } else {
                self.stage = Stage::Closing;
                self.timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
                self.connection.close(Close::IdleTimeout(self.idle_timeout));
            }
        }
        Poll::Pending
    }

    /// Reads once and processes the input; returns `false` at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        /// Enough for a usual burst of a client; longer messages take several reads.
        const SCRATCH_BYTES: usize = 64 * 1024;
        thread_local! {
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
        }
        SCRATCH.with_borrow_mut(|scratch| match std::task::ready!(self.read.poll_read(cx, scratch)) {
            Ok(0) | Err(_) => Poll::Ready(false),
            Ok(count) => {
                self.last_read = Instant::now();
                self.process(&mut scratch[..count]);
                // The replies to all messages of one read leave in one write.
                self.connection.flush();
                Poll::Ready(true)
            }
        })
    }

    /// Decodes the input and passes its messages to the connection.
    fn process(&mut self, mut input: &mut [u8]) {
        while !self.ignores_input {
            let connection = &self.connection;
            let close = match self.decoder.decode(std::mem::take(&mut input)) {
                Ok((None, _)) => return,
                Ok((Some(message), rest)) => {
                    input = rest;
                    match message {
                        Incoming::Text(text) => receive(connection, Frame::Text(&text)),
                        Incoming::Binary(bytes) => receive(connection, Frame::Binary(&bytes)),
                        Incoming::Ping(payload) => {
                            connection.outbox().hold(encode::pong(&payload));
                            None
                        }
                        Incoming::Pong(_) => None,
                        Incoming::Close(frame) => Some(Close::Peer(frame.code.map(|code| code.0))),
                    }
                }
                Err(error) => {
                    metrics::counter!("bennu.websocket.protocol_errors").increment(1);
                    tracing::debug!(%error, "closing a WebSocket after a protocol error");
                    Some(Close::Transport { code: error.close_code().0 })
                }
            };
            if let Some(close) = close {
                self.ignores_input = true;
                connection.close(close);
            }
        }
    }
}

/// Passes a frame to the connection; returns the close reason if the frame is not a message.
fn receive(connection: &Arc<Connection>, frame: Frame<'_>) -> Option<Close> {
    connection.receive(frame).err().map(|_| Close::BadMessage)
}
