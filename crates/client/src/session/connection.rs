//! The connection's phase: connecting, open, waiting for the next attempt, closing, closed.
//!
//! The driver reads [`Session::intent`] and reports the progress of the connection; the user's handles read, watch and
//! end it. Each change of the phase wakes the tasks that watch the state.

use super::{Intent, Session};
use crate::{ConnectError, ConnectionError, ConnectionState, TransportKind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The time limit of a closing handshake.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of tasks that wait for a change of the state.
pub(super) const MAX_WATCHERS: usize = 64;

#[derive(Debug)]
pub(super) enum Phase {
    /// The driver should start an attempt.
    AttemptDue,
    /// An attempt is in progress.
    Connecting,
    /// Messages flow.
    Open(OpenConnection),
    /// The next attempt is due at `retry_at`.
    Waiting { retry_at: Instant, delay: Duration, cause: Arc<ConnectionError> },
    /// The user has disconnected. Queued messages are still sent, until the deadline.
    Closing { deadline: Instant },
    /// Final: nothing is connected or sent any more.
    Closed,
}

#[derive(Debug)]
pub(super) struct OpenConnection {
    kind: TransportKind,
    /// The server has sent a message on this connection.
    pub(super) has_received: bool,
    /// The time of the next heartbeat; `None` over long poll, whose polls already show whether the server responds.
    pub(super) heartbeat_at: Option<Instant>,
    /// The ref of the heartbeat without a reply.
    pub(super) unanswered_heartbeat: Option<u64>,
}

impl Phase {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Open(open) => open.heartbeat_at,
            Phase::Waiting { retry_at, .. } => Some(*retry_at),
            Phase::Closing { deadline } => Some(*deadline),
            Phase::AttemptDue | Phase::Connecting | Phase::Closed => None,
        }
    }
}

impl Session {
    pub(crate) fn intent(&self) -> Intent {
        match self.phase {
            Phase::AttemptDue => Intent::Connect,
            Phase::Connecting => Intent::ContinueAttempt,
            Phase::Open(_) => Intent::KeepConnection,
            Phase::Waiting { .. } => Intent::Wait,
            Phase::Closing { .. } => Intent::Close,
            Phase::Closed => Intent::Finish,
        }
    }

    /// Records that the driver has started an attempt.
    pub(crate) fn attempt_started(&mut self) {
        if let Phase::AttemptDue = self.phase {
            self.enter(Phase::Connecting);
        }
    }

    /// Records a new connection and joins every channel that is not joined.
    pub(crate) fn connection_opened(&mut self, now: Instant, kind: TransportKind) {
        let Phase::Connecting = self.phase else { return };
        self.connections += 1;
        // The first heartbeat comes earlier by a random time, so that clients that connect together do not send their
        // heartbeats together.
        let heartbeat_at = match kind {
            TransportKind::WebSocket => Some(now + self.jitter.shorten(self.settings.heartbeat)),
            TransportKind::LongPoll => None,
        };
        let open = OpenConnection { kind, has_received: false, heartbeat_at, unanswered_heartbeat: None };
        self.enter(Phase::Open(open));
        self.join_all(now);
    }

    /// Records the end of the connection or of the attempt. Unless the end is final, the next attempt is scheduled.
    pub(crate) fn connection_lost(&mut self, now: Instant, cause: ConnectionError) {
        match self.phase {
            Phase::Closing { .. } => self.connection_closed(),
            Phase::Open(_) if cause.is_final() => {
                self.last_error = Some(Arc::new(cause));
                self.connection_closed();
            }
            Phase::Connecting | Phase::Open(_) => {
                let was_open = matches!(self.phase, Phase::Open(_));
                let delay = self.jitter.vary(self.settings.reconnect.delay(self.failures));
                self.failures = self.failures.saturating_add(1);
                if let (0, None, ConnectionError::Attempt(error)) = (self.connections, &self.first_failure, &cause) {
                    self.first_failure = Some(Box::new(error.clone()));
                }
                let cause = Arc::new(cause);
                self.enter(Phase::Waiting { retry_at: now + delay, delay, cause: Arc::clone(&cause) });
                if was_open {
                    self.last_error = Some(cause);
                    self.interrupt_all();
                }
            }
            Phase::AttemptDue | Phase::Waiting { .. } | Phase::Closed => {}
        }
    }

    /// Ends all channels now and closes the connection after the queued messages are sent.
    pub(crate) fn disconnect(&mut self, now: Instant) {
        match self.phase {
            Phase::Open(_) => self.enter(Phase::Closing { deadline: now + CLOSE_TIMEOUT }),
            Phase::Closing { .. } | Phase::Closed => return,
            Phase::AttemptDue | Phase::Connecting | Phase::Waiting { .. } => self.enter(Phase::Closed),
        }
        self.end_all();
    }

    /// Records that the connection is closed for good.
    pub(crate) fn connection_closed(&mut self) {
        if !matches!(self.phase, Phase::Closed) {
            self.enter(Phase::Closed);
            self.end_all();
        }
    }

    /// Returns the state of the connection.
    pub(crate) fn state(&self) -> ConnectionState {
        match &self.phase {
            Phase::AttemptDue | Phase::Connecting => ConnectionState::Connecting,
            Phase::Open(open) => ConnectionState::Connected { over: open.kind, count: self.connections },
            Phase::Waiting { delay, cause, .. } => {
                ConnectionState::Waiting { retry_in: *delay, cause: Arc::clone(cause) }
            }
            Phase::Closing { .. } | Phase::Closed => ConnectionState::Closed,
        }
    }

    /// Returns how the latest connection ended; `None` before a connection has ended.
    pub(crate) fn last_error(&self) -> Option<Arc<ConnectionError>> {
        self.last_error.clone()
    }

    /// Returns the state when its version differs from `seen`, and sets `seen` to the new version.
    pub(crate) fn poll_state(&mut self, seen: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<ConnectionState> {
        if *seen != Some(self.state_version) {
            *seen = Some(self.state_version);
            return Poll::Ready(self.state());
        }
        self.watch(cx);
        Poll::Pending
    }

    /// Returns the result of the first attempt.
    pub(crate) fn poll_first_attempt(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        if let Some(error) = &self.first_failure {
            Poll::Ready(Err((**error).clone()))
        } else if self.connections > 0 {
            Poll::Ready(Ok(()))
        } else if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            Poll::Ready(Err(ConnectError::Disconnected))
        } else {
            self.watch(cx);
            Poll::Pending
        }
    }

    /// Ready when the connection is closed for good.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Phase::Closed = self.phase {
            return Poll::Ready(());
        }
        self.watch(cx);
        Poll::Pending
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        // Users see the closing and the closed phase as one state.
        let is_same_state = matches!((&self.phase, &phase), (Phase::Closing { .. }, Phase::Closed));
        self.phase = phase;
        if !is_same_state {
            self.state_version += 1;
        }
        self.wakes.append(&mut self.watchers);
    }

    fn watch(&mut self, cx: &mut Context<'_>) {
        if !self.watchers.iter().any(|watcher| watcher.will_wake(cx.waker())) {
            // A task that stops waiting does not unregister. At the limit all watchers are woken, and those that still
            // wait register again.
            if self.watchers.len() == MAX_WATCHERS {
                self.wakes.append(&mut self.watchers);
            }
            self.watchers.push(cx.waker().clone());
        }
    }
}
