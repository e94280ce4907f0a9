//! The one task of a client: connects when the session says so, runs the connection, and keeps the time.
//!
//! Written by hand, so that an idle client's memory is what stands here: the stream and a timer. Spawned by the builder;
//! ends when the session has nothing to do any more, which is soon after the last handle is gone.

use crate::connect::{Connection, Connector};
use crate::session::Intent;
use crate::shared::Shared;
use crate::websocket::WebSocket;
use crate::{Carrier, ConnectError, Lost};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) struct Driver {
    shared: Arc<Shared>,
    connector: Arc<Connector>,
    line: Line,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The connection, as far as it has come.
enum Line {
    None,
    Attempt(Running<Result<Connection, ConnectError>>),
    WebSocket(Box<WebSocket>),
    LongPoll(Running<Lost>),
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, connector: Arc<Connector>) -> Self {
        Driver { shared, connector, line: Line::None, timer: None }
    }

    /// Goes on as far as it can; ready when all is over.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let intent = self.shared.drive(|session| {
                session.elapsed(Shared::now());
                session.intent()
            });
            match (&mut self.line, intent) {
                (Line::None, Intent::Connect) => {
                    self.shared.drive(|session| session.connecting());
                    let connector = Arc::clone(&self.connector);
                    self.line = Line::Attempt(Box::pin(async move { connector.attempt().await }));
                }
                (Line::None, Intent::Close | Intent::Finish) => {
                    self.shared.drive(|session| session.closed());
                    return Poll::Ready(());
                }
                (Line::None, _) => return Poll::Pending,
                (Line::Attempt(attempt), Intent::KeepTrying) => match std::task::ready!(attempt.as_mut().poll(cx)) {
                    Ok(connection) => self.open(connection),
                    Err(error) => {
                        self.line = Line::None;
                        self.lose(Lost::Attempt(error));
                    }
                },
                (Line::WebSocket(websocket), Intent::Keep | Intent::Close) => {
                    let lost = std::task::ready!(websocket.poll(cx, &self.shared));
                    self.line = Line::None;
                    self.lose(lost);
                }
                (Line::LongPoll(running), Intent::Keep | Intent::Close) => {
                    let lost = std::task::ready!(running.as_mut().poll(cx));
                    self.line = Line::None;
                    self.lose(lost);
                }
                // The session has given the connection up.
                (Line::WebSocket(websocket), _) => {
                    websocket.abandon(cx);
                    self.line = Line::None;
                }
                (Line::Attempt(_) | Line::LongPoll(_), _) => self.line = Line::None,
            }
        }
    }

    fn open(&mut self, connection: Connection) {
        let over = match connection {
            Connection::WebSocket(websocket) => {
                self.line = Line::WebSocket(websocket);
                Carrier::WebSocket
            }
            Connection::LongPoll(long_poll) => {
                self.line = Line::LongPoll(Box::pin(long_poll.run(Arc::clone(&self.shared))));
                Carrier::LongPoll
            }
        };
        self.shared.drive(|session| session.opened(Shared::now(), over));
    }

    fn lose(&self, lost: Lost) {
        tracing::debug!(%lost, "no connection");
        self.shared.drive(|session| session.lost(Shared::now(), lost));
    }

    /// Sees to it that the task is woken at the session's deadline; ready when that is now.
    ///
    /// A timer that is early is left alone: it fires, and is set anew. So a push does not move it.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.shared.look(|session| session.deadline()).map(Instant::from_std) else {
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
            std::task::ready!(timer.as_mut().poll(cx));
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
        driver.shared.look(|session| session.set_driver(cx.waker()));
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

/// However the task ends, with its runtime for instance, nobody waits for it for ever.
impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.drive(|session| session.closed());
    }
}
