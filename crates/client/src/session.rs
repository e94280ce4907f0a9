//! The client's side of a connection as a pure state machine: what is joined, what waits to be sent, what is waited for,
//! and when to try again. No runtime, no clock, no I/O.
//!
//! Two parties call it, each under the client's lock ([`crate::shared`]). The handles of the user open channels, push,
//! leave and ask for events and replies. The driver does what [`Session::intent`] says, hands in what the transport
//! receives, takes what is to be sent from [`Session::transmit`], and comes back at [`Session::deadline`].
//!
//! Invariants: a topic has one channel; a message is sent at most once, and in the order in which its channel was given
//! it; every push that is waited for gets exactly one answer; every queue has a limit.

mod channel;
mod heard;
mod inbox;
mod outbox;
mod request;
mod room;
mod schedule;
#[cfg(test)]
mod tests;

pub(crate) use room::ChannelId;
pub use schedule::Schedule;

use crate::settings::Settings;
use crate::{Carrier, ConnectError, ConnectionState, Lost};
use bennu_protocol::client::Received;
use bennu_protocol::{Frame, FrameKind};
use outbox::{Outbox, Outgoing};
use request::Request;
use room::Room;
use schedule::{Jitter, bounded};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Tasks that wait for a change of the state.
const MAX_WATCHERS: usize = 64;

pub(crate) struct Session {
    settings: Arc<Settings>,
    jitter: Jitter,
    phase: Phase,
    /// The last ref that was given out. Refs are never used twice, so a late answer finds nobody.
    last_ref: u64,
    last_channel: u64,
    rooms: HashMap<ChannelId, Box<Room>>,
    /// The live channel of each topic.
    topics: HashMap<Arc<str>, ChannelId>,
    /// By ref.
    requests: HashMap<u64, Request>,
    outbox: Outbox,
    /// Of rooms and requests; what concerns the connection stands in the phase.
    deadlines: BTreeSet<(Instant, Due)>,
    /// Attempts since the server was last heard.
    tries: u32,
    connections: u64,
    /// How the latest connection ended.
    last_lost: Option<Arc<Lost>>,
    /// How the first attempt failed.
    first_failure: Option<Box<ConnectError>>,
    /// Changes with every change of the state, so that a reader knows what it has seen.
    version: u64,
    watchers: Vec<Waker>,
    wakes: Vec<Waker>,
    driver: Option<Waker>,
}

/// What the connection is doing.
#[derive(Debug)]
enum Phase {
    /// An attempt is due.
    Due,
    /// An attempt is under way.
    Connecting,
    /// Messages flow.
    Open(Open),
    /// The next attempt is due at this time.
    Waiting { at: Instant, delay: Duration, cause: Arc<Lost> },
    /// The user has disconnected: what is queued is still sent, until this time at most.
    Ending { by: Instant },
    /// Nothing happens any more.
    Closed,
}

#[derive(Debug)]
struct Open {
    over: Carrier,
    /// Something was received.
    heard: bool,
    /// When the next heartbeat is due; none over long poll, whose polls show whether the server lives.
    beat_at: Option<Instant>,
    /// The heartbeat that is not answered yet.
    unanswered: Option<u64>,
}

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Room(ChannelId),
    Request(u64),
}

/// What the driver should do about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Try to connect; then call [`Session::connecting`].
    Connect,
    /// Nothing, until the deadline. A connection that is still there is to be dropped.
    Wait,
    /// Go on with the attempt that is under way.
    KeepTrying,
    /// Keep the connection.
    Keep,
    /// Send what waits, close the connection, then call [`Session::closed`].
    Close,
    /// End: there is nothing left to do.
    Finish,
}

impl Session {
    /// A session that wants to connect. The seed spreads its delays from those of others.
    pub(crate) fn new(settings: Arc<Settings>, seed: u64) -> Self {
        Session {
            jitter: Jitter::new(seed, settings.jitter),
            settings,
            phase: Phase::Due,
            last_ref: 0,
            last_channel: 0,
            rooms: HashMap::new(),
            topics: HashMap::new(),
            requests: HashMap::new(),
            outbox: Outbox::default(),
            deadlines: BTreeSet::new(),
            tries: 0,
            connections: 0,
            last_lost: None,
            first_failure: None,
            version: 0,
            watchers: Vec::new(),
            wakes: Vec::new(),
            driver: None,
        }
    }

    pub(crate) fn intent(&self) -> Intent {
        match self.phase {
            Phase::Due => Intent::Connect,
            Phase::Connecting => Intent::KeepTrying,
            Phase::Open(_) => Intent::Keep,
            Phase::Waiting { .. } => Intent::Wait,
            Phase::Ending { .. } => Intent::Close,
            Phase::Closed => Intent::Finish,
        }
    }

    /// An attempt has begun.
    pub(crate) fn connecting(&mut self) {
        if let Phase::Due = self.phase {
            self.enter(Phase::Connecting);
        }
    }

    /// There is a connection: what was joined is joined again.
    pub(crate) fn opened(&mut self, now: Instant, over: Carrier) {
        let Phase::Connecting = self.phase else { return };
        self.connections += 1;
        // Clients that connect together shall not beat together.
        let beat_at = match over {
            Carrier::WebSocket => Some(now + self.jitter.before(self.settings.heartbeat)),
            Carrier::LongPoll => None,
        };
        self.enter(Phase::Open(Open { over, heard: false, beat_at, unanswered: None }));
        self.join_all(now);
    }

    /// The connection, or the attempt, is over.
    pub(crate) fn lost(&mut self, now: Instant, cause: Lost) {
        match self.phase {
            Phase::Ending { .. } => self.closed(),
            Phase::Open(_) if cause.is_final() => {
                self.last_lost = Some(Arc::new(cause));
                self.closed();
            }
            Phase::Connecting | Phase::Open(_) => {
                let was_open = matches!(self.phase, Phase::Open(_));
                let delay = self.jitter.around(self.settings.reconnect.delay(self.tries));
                self.tries = self.tries.saturating_add(1);
                if let (0, None, Lost::Attempt(error)) = (self.connections, &self.first_failure, &cause) {
                    self.first_failure = Some(Box::new(error.clone()));
                }
                let cause = Arc::new(cause);
                self.enter(Phase::Waiting { at: now + delay, delay, cause: Arc::clone(&cause) });
                if was_open {
                    self.last_lost = Some(cause);
                    self.interrupt_all();
                }
            }
            Phase::Due | Phase::Waiting { .. } | Phase::Closed => {}
        }
    }

    /// The user wants no connection any more. Channels end now; pushes that were given before are still sent.
    pub(crate) fn disconnect(&mut self, now: Instant) {
        match self.phase {
            Phase::Open(_) => self.enter(Phase::Ending { by: now + CLOSE_TIMEOUT }),
            Phase::Ending { .. } | Phase::Closed => return,
            Phase::Due | Phase::Connecting | Phase::Waiting { .. } => self.enter(Phase::Closed),
        }
        self.end_all();
    }

    /// The connection that was to be closed is.
    pub(crate) fn closed(&mut self) {
        if !matches!(self.phase, Phase::Closed) {
            self.enter(Phase::Closed);
            self.end_all();
        }
    }

    /// Takes a message of the server.
    pub(crate) fn receive(&mut self, now: Instant, frame: Frame<'_>) {
        let Phase::Open(open) = &mut self.phase else { return };
        if !std::mem::replace(&mut open.heard, true) {
            // A connection counts as good when the server has said something: one that accepts and hangs up at once
            // must not be asked again every 10 ms.
            self.tries = 0;
        }
        match bennu_protocol::client::decode(frame) {
            Ok(Received::Reply { join_ref: _, reference, topic, status, payload }) => {
                let Some(reference) = reference.as_str().and_then(|text| text.parse().ok()) else { return };
                if open.unanswered == Some(reference) {
                    open.unanswered = None;
                } else {
                    self.answered(now, reference, &topic, status, payload);
                }
            }
            Ok(Received::Event { join_ref, topic, event, payload }) => {
                self.heard(now, &join_ref, &topic, event, payload);
            }
            Err(error) => tracing::warn!(%error, "a message of the server is dropped"),
        }
    }

    /// Appends the next message that is to be sent; `None` when there is none.
    pub(crate) fn transmit(&mut self, output: &mut Vec<u8>) -> Option<FrameKind> {
        if !matches!(self.phase, Phase::Open(_) | Phase::Ending { .. }) {
            return None;
        }
        while let Some(outgoing) = self.outbox.pop() {
            let start = output.len();
            match self.encode(outgoing, output) {
                Some(kind) => return Some(kind),
                None => output.truncate(start),
            }
        }
        None
    }

    /// When to call [`Session::elapsed`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let connection = match &self.phase {
            Phase::Open(open) => open.beat_at,
            Phase::Waiting { at, .. } => Some(*at),
            Phase::Ending { by } => Some(*by),
            Phase::Due | Phase::Connecting | Phase::Closed => None,
        };
        let first = self.deadlines.first().map(|(at, _)| *at);
        connection.into_iter().chain(first).min()
    }

    /// Does what is due.
    pub(crate) fn elapsed(&mut self, now: Instant) {
        while let Some((at, due)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, due));
            match due {
                Due::Room(id) => self.room_due(now, id),
                Due::Request(reference) => self.request_due(reference),
            }
        }
        match &mut self.phase {
            Phase::Open(open) if open.beat_at.is_some_and(|at| at <= now) => {
                if open.unanswered.is_some() {
                    let after = self.settings.heartbeat;
                    return self.lost(now, Lost::Silent { after });
                }
                self.last_ref += 1;
                open.unanswered = Some(self.last_ref);
                open.beat_at = Some(now + bounded(self.settings.heartbeat));
                self.outbox.push(Outgoing::Heartbeat(self.last_ref));
            }
            Phase::Waiting { at, .. } if *at <= now => self.enter(Phase::Due),
            Phase::Ending { by } if *by <= now => self.closed(),
            _ => {}
        }
    }

    /// How the connection is doing.
    pub(crate) fn state(&self) -> ConnectionState {
        match &self.phase {
            Phase::Due | Phase::Connecting => ConnectionState::Connecting,
            Phase::Open(open) => ConnectionState::Connected { over: open.over, count: self.connections },
            Phase::Waiting { delay, cause, .. } => {
                ConnectionState::Waiting { retry_in: *delay, cause: Arc::clone(cause) }
            }
            Phase::Ending { .. } | Phase::Closed => ConnectionState::Closed,
        }
    }

    /// How the latest connection ended; none before one has.
    pub(crate) fn last_lost(&self) -> Option<Arc<Lost>> {
        self.last_lost.clone()
    }

    /// The state, once it is another than that of the version that the caller has seen.
    pub(crate) fn poll_state(&mut self, seen: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<ConnectionState> {
        if *seen != Some(self.version) {
            *seen = Some(self.version);
            return Poll::Ready(self.state());
        }
        self.watch(cx);
        Poll::Pending
    }

    /// How the attempt went that began with the session.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        if let Some(error) = &self.first_failure {
            Poll::Ready(Err((**error).clone()))
        } else if self.connections > 0 {
            Poll::Ready(Ok(()))
        } else if matches!(self.phase, Phase::Ending { .. } | Phase::Closed) {
            Poll::Ready(Err(ConnectError::Disconnected))
        } else {
            self.watch(cx);
            Poll::Pending
        }
    }

    /// Ready when nothing happens any more.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Phase::Closed = self.phase {
            return Poll::Ready(());
        }
        self.watch(cx);
        Poll::Pending
    }

    /// Whom to wake when the connection has something to do.
    pub(crate) fn set_driver(&mut self, driver: &Waker) {
        match &mut self.driver {
            Some(known) => known.clone_from(driver),
            None => self.driver = Some(driver.clone()),
        }
    }

    pub(crate) fn driver(&self) -> Option<&Waker> {
        self.driver.as_ref()
    }

    /// Those to wake when the lock is released.
    pub(crate) fn take_wakes(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakes)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn enter(&mut self, phase: Phase) {
        let ending = (matches!(self.phase, Phase::Ending { .. }), matches!(phase, Phase::Closed));
        self.phase = phase;
        // Both look closed from outside.
        if ending != (true, true) {
            self.version += 1;
        }
        self.wakes.append(&mut self.watchers);
    }

    fn watch(&mut self, cx: &mut Context<'_>) {
        if !self.watchers.iter().any(|watcher| watcher.will_wake(cx.waker())) {
            // Those who have stopped waiting do not say so: now and then all are asked to come again.
            if self.watchers.len() == MAX_WATCHERS {
                self.wakes.append(&mut self.watchers);
            }
            self.watchers.push(cx.waker().clone());
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    fn next_ref(&mut self) -> u64 {
        self.last_ref += 1;
        self.last_ref
    }
}
