//! One WebSocket connection's task: reads, decodes, hands messages to the session, answers pings, keeps the idle timer
//! and sees the closing through.
//!
//! It holds no buffer while idle: reads land in a scratch of the thread. Spawned by [`crate::upgrade`]; ends when the
//! stream has; calls [`Connection::finish`] exactly once.

use super::flush::Queue;
use super::framing;
use super::link::{Link, Phase};
use super::stream::{Reader, Writer};
use bennu_channels::protocol::{Close, Frame, Serializer};
use bennu_channels::{Connected, Connection, Encoding};
use bennu_websocket::{Decoder, Event, Limits, Negotiated, encode};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may take to answer a close frame, and then to end the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

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
    queue: Arc<Queue>,
) {
    let link = Link::new(writer, queue);
    let framing = framing::of(agreed.extension.as_ref());
    let encoding = Encoding { serializer: agreed.serializer, framing };
    let connection = connected.open(encoding, Waker::from(link.clone()));
    link.attach(&connection);
    let limits = Limits { max_frame_size: agreed.max_frame_size };
    let mut driver = Driver {
        reader,
        decoder: Decoder::new(limits, agreed.extension.as_ref()),
        link,
        heard: Instant::now(),
        idle_timeout: agreed.idle_timeout,
        closing: false,
        connection,
    };
    if !early.is_empty() {
        driver.feed(&mut early.to_vec());
    }
    tokio::spawn(async move { driver.run().await });
}

struct Driver {
    reader: Reader,
    decoder: Decoder,
    link: Arc<Link>,
    /// When the client last sent anything.
    heard: Instant,
    idle_timeout: Duration,
    /// The client's close frame came, or what it sent cannot be read any further.
    closing: bool,
    connection: Arc<Connection>,
}

/// However the driver ends, the stream is closed and the channels end.
impl Drop for Driver {
    fn drop(&mut self) {
        self.link.release();
        self.connection.finish();
    }
}

impl Driver {
    async fn run(mut self) {
        if self.converse().await {
            self.linger().await;
        }
    }

    /// Reads until the connection is over; `true` when our side has said so with a close frame.
    async fn converse(&mut self) -> bool {
        let mut timer = std::pin::pin!(sleep(self.idle_timeout));
        let mut deadline_set = false;
        poll_fn(|cx| {
            loop {
                match self.link.poll_phase(cx) {
                    Phase::Failed => return Poll::Ready(false),
                    Phase::Closed(_) if self.closing => return Poll::Ready(true),
                    Phase::Open => {}
                    _ => {
                        // Closing: the peer has only so long to read and to answer.
                        if !std::mem::replace(&mut deadline_set, true) {
                            timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
                        }
                    }
                }
                match self.poll_read(cx) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready(false),
                    Poll::Pending => break,
                }
            }
            self.poll_timer(cx, timer.as_mut(), deadline_set)
        })
        .await
    }

    /// The idle timer is not reset by every read: when it fires it looks when the client was last heard.
    fn poll_timer(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>, closing: bool) -> Poll<bool> {
        while timer.as_mut().poll(cx).is_ready() {
            let due = self.heard + self.idle_timeout;
            if closing {
                return Poll::Ready(false);
            } else if due > Instant::now() {
                timer.as_mut().reset(due);
            } else {
                self.connection.outbox().close(Close::IdleTimeout(self.idle_timeout));
                timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
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
                Poll::Ready(true)
            }
        })
    }

    /// Decodes and hands on.
    fn feed(&mut self, mut input: &mut [u8]) {
        while !self.closing {
            let connection = &self.connection;
            let close = match self.decoder.decode(std::mem::take(&mut input)) {
                Ok((None, _)) => return,
                Ok((Some(event), rest)) => {
                    input = rest;
                    match event {
                        Event::Text(text) => connection.receive(Frame::Text(&text)).err(),
                        Event::Binary(bytes) => connection.receive(Frame::Binary(&bytes)).err(),
                        Event::Ping(payload) => {
                            connection.outbox().push(encode::pong(&payload));
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
                self.closing = true;
                connection.outbox().close(close);
            }
        }
    }

    /// Sends FIN and waits for the peer's, so that no reset overtakes the close frame on its way.
    async fn linger(&mut self) {
        let ended = poll_fn(|cx| {
            std::task::ready!(self.link.poll_shutdown(cx));
            loop {
                // `closing` is set: what still comes is read and dropped.
                if !std::task::ready!(self.poll_read(cx)) {
                    return Poll::Ready(());
                }
            }
        });
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
    }
}
