//! The driver: the one task of a client. It connects, runs the transport and keeps the session's timer.
//!
//! [`ClientBuilder::start`] spawns it. It carries out [`Session::intent`] and ends when the intent is to finish,
//! shortly after the last handle is dropped. The future is written by hand: an idle client holds no more memory than the
//! fields of [`Driver`].
//!
//! [`ClientBuilder::start`]: crate::ClientBuilder::start
//! [`Session::intent`]: crate::session::Session::intent

use crate::session::Intent;
use crate::shared::Shared;
use crate::transport::{Connection, Connector, WebSocket};
use crate::{ConnectError, ConnectionError, TransportKind};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) struct Driver {
    shared: Arc<Shared>,
    connector: Arc<Connector>,
    link: Link,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The connection, or the attempt to open one.
enum Link {
    Down,
    Connecting(BoxFuture<Result<Connection, ConnectError>>),
    WebSocket(Box<WebSocket>),
    LongPoll(BoxFuture<ConnectionError>),
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, connector: Arc<Connector>) -> Self {
        Driver { shared, connector, link: Link::Down, timer: None }
    }

    /// Carries out the session's intent as far as possible; ready when the client is closed for good.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let intent = self.shared.update(|session| {
                session.elapsed(Shared::now());
                session.intent()
            });
            match (&mut self.link, intent) {
                (Link::Down, Intent::Connect) => {
                    self.shared.update(|session| session.attempt_started());
                    let connector = Arc::clone(&self.connector);
                    self.link = Link::Connecting(Box::pin(async move { connector.connect().await }));
                }
                (Link::Down, Intent::Close | Intent::Finish) => {
                    self.shared.update(|session| session.connection_closed());
                    return Poll::Ready(());
                }
                (Link::Down, _) => return Poll::Pending,
                (Link::Connecting(attempt), Intent::ContinueAttempt) => match ready!(attempt.as_mut().poll(cx)) {
                    Ok(connection) => self.connected(connection),
                    Err(error) => self.disconnected(ConnectionError::Attempt(error)),
                },
                (Link::WebSocket(websocket), Intent::KeepConnection | Intent::Close) => {
                    let error = ready!(websocket.poll(cx, &self.shared));
                    self.disconnected(error);
                }
                (Link::LongPoll(long_poll), Intent::KeepConnection | Intent::Close) => {
                    let error = ready!(long_poll.as_mut().poll(cx));
                    self.disconnected(error);
                }
                // The session no longer needs the connection.
                (Link::WebSocket(websocket), _) => {
                    websocket.abort(cx);
                    self.link = Link::Down;
                }
                (Link::Connecting(_) | Link::LongPoll(_), _) => self.link = Link::Down,
            }
        }
    }

    fn connected(&mut self, connection: Connection) {
        let kind = match connection {
            Connection::WebSocket(websocket) => {
                self.link = Link::WebSocket(websocket);
                TransportKind::WebSocket
            }
            Connection::LongPoll(long_poll) => {
                self.link = Link::LongPoll(Box::pin(long_poll.run(Arc::clone(&self.shared))));
                TransportKind::LongPoll
            }
        };
        self.shared.update(|session| session.connection_opened(Shared::now(), kind));
    }

    fn disconnected(&mut self, error: ConnectionError) {
        self.link = Link::Down;
        tracing::debug!(%error, "the connection was lost");
        self.shared.update(|session| session.connection_lost(Shared::now(), error));
    }

    /// Sets the timer to the session's deadline; ready when the deadline has passed.
    ///
    /// A timer that fires before the deadline is not moved: it fires and is set again. So a push does not move the
    /// timer.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.shared.access(|session| session.deadline()).map(Instant::from_std) else {
            return Poll::Pending;
        };
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() > deadline {
                    timer.as_mut().reset(deadline);
                }
                timer
            }
            none => none.insert(Box::pin(sleep_until(deadline))),
        };
        loop {
            ready!(timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        driver.shared.access(|session| session.set_driver(cx.waker()));
        loop {
            if driver.advance(cx).is_ready() {
                return Poll::Ready(());
            }
            if driver.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Closes the session however the task ends, with its runtime for example: no handle waits forever.
impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.update(|session| session.connection_closed());
    }
}
