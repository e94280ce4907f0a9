//! One WebSocket connection's task: reads, decodes, hands messages to the session, answers pings, keeps the idle timer
//! and sees the closing through.
//!
//! It holds no buffer while idle: reads land in a scratch of the thread. Spawned by [`super::upgrade`]; ends when the
//! stream has; calls [`Connection::finish`] exactly once.

use super::flush::Queue;
use super::framing;
use super::link::{Link, Phase};
use super::stream::{Reader, Writer};
use bennu_channels::protocol::{Close, Frame, Serializer};
use bennu_channels::{Connected, Connection, Encoding};
use bennu_websocket::{Decoder, Event, Limits, Negotiated, encode};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may take to answer a close frame, and then to end the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads before the timer and other tasks get their turn: a client that never pauses must not outrun either. Far fewer
/// than the 128 operations that tokio grants a task, past which a timer does not fire.
const READS_A_TURN: u32 = 16;

/// What the handshake settled.
pub(crate) struct Agreed {
    pub(crate) serializer: Serializer,
    pub(crate) extension: Option<Negotiated>,
    pub(crate) max_frame_size: usize,
    pub(crate) idle_timeout: Duration,
}

/// Runs a connection in a task of its own. `early` is what arrived together with the handshake.
pub(crate) fn spawn(
    connected: Connected,
    agreed: Agreed,
    (reader, writer): (Reader, Writer),
    early: &[u8],
    queue: Arc<Queue<Link>>,
) {
    let link = Link::new(writer, queue);
    let framing = framing::of(agreed.extension.as_ref());
    let encoding = Encoding { serializer: agreed.serializer, framing };
    let connection = connected.open(encoding, link.clone());
    link.attach(&connection);
    let limits = Limits { max_frame_size: agreed.max_frame_size };
    let mut driver = Box::new(Driver {
        reader,
        decoder: Decoder::new(limits, agreed.extension.as_ref()),
        link,
        heard: Instant::now(),
        idle_timeout: agreed.idle_timeout,
        timer: Box::pin(sleep(agreed.idle_timeout)),
        stage: Stage::Open,
        registered: false,
        deaf: false,
        connection,
    });
    if !early.is_empty() {
        driver.feed(&mut early.to_vec());
    }
    tokio::spawn(driver);
}

struct Driver {
    reader: Reader,
    decoder: Decoder,
    link: Arc<Link>,
    /// When the client last sent anything.
    heard: Instant,
    idle_timeout: Duration,
    /// While open, when to look whether the client is still heard; then, how long the end may take.
    timer: Pin<Box<Sleep>>,
    stage: Stage,
    /// The link knows this task: it tells when the connection begins to end.
    registered: bool,
    /// The client's close frame came, or what it sent cannot be read any further: what still comes is dropped.
    deaf: bool,
    connection: Arc<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Messages flow.
    Open,
    /// Our close frame is on its way, and the peer's is awaited.
    Closing,
    /// Both sides have closed: FIN is sent, the peer's is awaited.
    Lingering,
}

/// However the driver ends, the stream is closed and the channels end.
impl Drop for Driver {
    fn drop(&mut self) {
        self.link.release();
        self.connection.finish();
    }
}

/// The task of the connection: written by hand, so that its memory is just what stands above.
impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        if !std::mem::replace(&mut driver.registered, true) {
            driver.link.set_driver(cx.waker());
        }
        for turn in 1.. {
            if driver.stage != Stage::Lingering && !driver.link.is_open() && driver.follow() {
                return Poll::Ready(());
            }
            if driver.stage == Stage::Lingering && driver.link.poll_shutdown(cx).is_pending() {
                break;
            }
            match driver.poll_read(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            if turn == READS_A_TURN {
                cx.waker().wake_by_ref();
                break;
            }
        }
        driver.poll_timer(cx)
    }
}

impl Driver {
    /// Goes on with the closing as far as the link has got; `true` when the socket is broken.
    fn follow(&mut self) -> bool {
        let next = match self.link.phase() {
            Phase::Failed => return true,
            // FIN and not just the end: no reset may overtake the close frame on its way.
            Phase::Closed(_) if self.deaf => Stage::Lingering,
            _ => Stage::Closing,
        };
        if next != self.stage {
            self.stage = next;
            self.timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
        }
        false
    }

    /// The idle timer is not reset by every read: when it fires it looks when the client was last heard.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.heard + self.idle_timeout;
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

    /// Reads once and handles what came; `false` at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        /// A usual burst of a client; longer messages take several reads.
        const SCRATCH_BYTES: usize = 64 * 1024;
        thread_local! {
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
        }
        SCRATCH.with_borrow_mut(|scratch| match std::task::ready!(self.reader.poll_read(cx, scratch)) {
            Ok(0) | Err(_) => Poll::Ready(false),
            Ok(count) => {
                self.heard = Instant::now();
                self.feed(&mut scratch[..count]);
                // All that one read brought is answered with one write.
                self.connection.flush();
                Poll::Ready(true)
            }
        })
    }

    /// Decodes and hands on.
    fn feed(&mut self, mut input: &mut [u8]) {
        while !self.deaf {
            let connection = &self.connection;
            let close = match self.decoder.decode(std::mem::take(&mut input)) {
                Ok((None, _)) => return,
                Ok((Some(event), rest)) => {
                    input = rest;
                    match event {
                        Event::Text(text) => receive(connection, Frame::Text(&text)),
                        Event::Binary(bytes) => receive(connection, Frame::Binary(&bytes)),
                        Event::Ping(payload) => {
                            connection.outbox().hold(encode::pong(&payload));
                            None
                        }
                        Event::Pong(_) => None,
                        Event::Close(frame) => Some(Close::Peer(frame.code.map(|code| code.0))),
                    }
                }
                Err(error) => {
                    metrics::counter!("bennu.websocket.protocol_errors").increment(1);
                    tracing::debug!(%error, "closing a websocket");
                    Some(Close::Transport { code: error.close_code().0 })
                }
            };
            if let Some(close) = close {
                self.deaf = true;
                connection.close(close);
            }
        }
    }
}

/// Hands a message on; what is no message ends the connection.
fn receive(connection: &Arc<Connection>, frame: Frame<'_>) -> Option<Close> {
    connection.receive(frame).err().map(|_| Close::BadMessage)
}
