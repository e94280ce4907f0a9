//! The long-poll session of one client: the connection, the waiting poll, the unacknowledged batch, and the deadline.
//!
//! [`super::service`] polls and publishes for clients of this node, [`super::relay`] for clients of other nodes;
//! [`super::session_table`] waits for [`Session::ended`]. Invariants: of two concurrent polls, the newer one receives
//! the messages; a batch is kept until the client has acknowledged it; POSTs are processed one after another; a closed
//! session delivers its queued messages and then ends.

use super::batch::{self, Batch, JSON_STRING};
use super::quota::SessionPermit;
use bennu_channels::protocol::{Close, Serializer};
use bennu_channels::transport::{Connected, Connection, Drainer, Encoding, Taken};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{MutexGuard, Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a closed session waits for its client to poll the remaining messages. A client that is present polls again
/// as soon as it has a response. Without this limit, a client that has left, or whose POST arrives slowly, would delay
/// a drain.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Session {
    connection: Arc<Connection>,
    notifier: Arc<Notifier>,
    state: Mutex<State>,
    publishing: tokio::sync::Mutex<()>,
}

struct State {
    /// The number of the last batch that was sent.
    sent: u64,
    /// The last batch, until the client acknowledges it.
    unacknowledged: Option<Batch>,
    /// Whether the connection has closed and all queued messages have been taken.
    is_over: bool,
    /// The reason of the close, if it has a text.
    reason: Option<String>,
    /// Requests of the client that are under way.
    requests: usize,
    /// The time at which the last request ended.
    last_request: Instant,
    /// The time at which the connection was found closed.
    closed_at: Option<Instant>,
    /// Returned to the quota when the session ends.
    permit: Option<SessionPermit>,
}

/// The result of a poll. The number is that of the last batch that the client has received once it has this response;
/// `None` if that is unknown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    Messages(Option<u64>, Batch),
    /// No message arrived within the window.
    NoMessages(Option<u64>),
    /// The session does not exist or is over, with the reason if it has a text.
    Gone(Option<String>),
}

/// The result of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PublishOutcome {
    Published,
    /// A message is not valid, with the reason. The messages before it were processed.
    Invalid(String),
    Gone,
}

impl Session {
    pub(crate) fn open(connected: Connected, serializer: Serializer, permit: SessionPermit) -> Arc<Self> {
        let notifier = Arc::new(Notifier::default());
        let connection = connected.open(Encoding { serializer, framing: &JSON_STRING }, notifier.clone());
        let state = State {
            sent: 0,
            unacknowledged: None,
            is_over: false,
            reason: None,
            requests: 0,
            last_request: Instant::now(),
            closed_at: None,
            permit: Some(permit),
        };
        let (state, publishing) = (Mutex::new(state), tokio::sync::Mutex::default());
        Arc::new(Session { connection, notifier, state, publishing })
    }

    /// Waits up to `window` for messages. `received` is the number in the client's token.
    pub(crate) async fn poll(&self, received: Option<u64>, window: Duration) -> PollOutcome {
        let _request = self.start_request();
        let deadline = Instant::now() + window;
        let poll = self.notifier.start_poll();
        loop {
            let Some(notified) = self.notifier.subscribe(poll) else { break };
            if let Some(outcome) = self.take(received) {
                return outcome;
            }
            match timeout_at(deadline, notified).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => return PollOutcome::NoMessages(Some(self.state.lock().sent)),
            }
        }
        // A newer poll has replaced this one. An immediate response would make a client with two poll loops spin.
        sleep_until(deadline).await;
        PollOutcome::NoMessages(None)
    }

    /// Returns the outcome of a poll if there is one now, and `None` if the poll must wait.
    fn take(&self, received: Option<u64>) -> Option<PollOutcome> {
        let mut state = self.state.lock();
        if let Some(batch) = &state.unacknowledged
            && received.is_some_and(|received| received + 1 == state.sent)
        {
            metrics::counter!("bennu.longpoll.repeated").increment(1);
            return Some(PollOutcome::Messages(Some(state.sent), batch.clone()));
        }
        state.unacknowledged = None;
        let mut messages = Vec::new();
        while !state.is_over {
            match self.connection.take(&mut messages, usize::MAX) {
                Taken::Some => {}
                Taken::All => break,
                Taken::Last(close) => {
                    if let Close::TooSlow { waiting, limit } = close {
                        tracing::warn!(waiting, limit, "closing a client that does not read");
                    }
                    state.is_over = true;
                    state.reason = Some(close.reason()).filter(|reason| !reason.is_empty());
                }
            }
        }
        let is_over = state.is_over;
        let batch = Batch::new(messages);
        let outcome = if !batch.is_empty() {
            state.sent += 1;
            state.unacknowledged = Some(batch.clone());
            Some(PollOutcome::Messages(Some(state.sent), batch))
        } else {
            is_over.then(|| PollOutcome::Gone(state.reason.take()))
        };
        drop(state);
        match outcome {
            Some(PollOutcome::Gone(_)) => self.end(),
            // The channels end now; the session remains until the client has received the last batch.
            _ if is_over => self.connection.finish(),
            _ => {}
        }
        outcome
    }

    /// Waits until no other POST of the session is being processed, and returns the right to publish.
    pub(crate) async fn publisher(&self) -> Publisher<'_> {
        let request = self.start_request();
        Publisher { session: self, _turn: self.publishing.lock().await, _request: request }
    }

    /// Returns when the session has ended. It ends when its client sends no request for `idle`, and a closed session
    /// when its client does not poll within [`CLOSE_TIMEOUT`].
    pub(crate) async fn ended(&self, idle: Duration) {
        let mut deadline = Instant::now() + idle;
        loop {
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = self.notifier.deadline_changed.notified() => {}
            }
            if self.state.lock().permit.is_none() {
                return;
            }
            deadline = self.deadline(idle);
            if deadline <= Instant::now() {
                metrics::counter!("bennu.longpoll.expired").increment(1);
                return self.end();
            }
        }
    }

    /// Returns the time at which the session ends unless its client sends a request.
    fn deadline(&self, idle: Duration) -> Instant {
        let closing = self.connection.outbox().closing().is_some();
        let mut state = self.state.lock();
        let idle_deadline = if state.requests > 0 { Instant::now() } else { state.last_request } + idle;
        if closing {
            let closed_at = *state.closed_at.get_or_insert_with(Instant::now);
            return idle_deadline.min(closed_at + CLOSE_TIMEOUT);
        }
        idle_deadline
    }

    /// Ends the session and its channels, and returns its permit. Messages that still wait are dropped.
    pub(crate) fn end(&self) {
        self.connection.finish();
        let mut state = self.state.lock();
        state.is_over = true;
        state.unacknowledged = None;
        let permit = state.permit.take();
        drop(state);
        drop(permit);
        self.notifier.deadline_changed.notify_one();
    }

    fn is_over(&self) -> bool {
        self.state.lock().is_over || self.connection.outbox().closing().is_some()
    }

    fn start_request(&self) -> RequestGuard<'_> {
        self.state.lock().requests += 1;
        RequestGuard(self)
    }
}

/// The exclusive right to publish to a session: see [`Session::publisher`].
pub(crate) struct Publisher<'a> {
    session: &'a Session,
    _turn: MutexGuard<'a, ()>,
    _request: RequestGuard<'a>,
}

impl Publisher<'_> {
    /// Passes the messages of a body to the connection, in their order.
    pub(crate) async fn publish(&self, body: &str, ndjson: bool) -> PublishOutcome {
        let connection = &self.session.connection;
        let mut outcome = PublishOutcome::Published;
        for (n, message) in batch::parse(body, ndjson).enumerate() {
            if self.session.is_over() {
                return PublishOutcome::Gone;
            }
            // As with messages that arrive one by one, each message is processed before the next one is received.
            let received = match message {
                Ok(message) => {
                    let received = connection.receive_in_turn(message.frame()).await;
                    received.map_err(|error| format!("message {}: {error}", n + 1))
                }
                Err(error) => Err(error),
            };
            if let Err(reason) = received {
                outcome = PublishOutcome::Invalid(reason);
                break;
            }
            // Other clients run between two messages.
            tokio::task::yield_now().await;
        }
        if self.session.is_over() { PublishOutcome::Gone } else { outcome }
    }
}

/// A request of the client that is under way. The session does not expire until the request ends.
struct RequestGuard<'a>(&'a Session);

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.requests -= 1;
        state.last_request = Instant::now();
        let is_over = state.is_over;
        drop(state);
        // The client may have dropped a poll after its notification. The remaining messages then wait for the next
        // poll, and the close timeout starts now.
        if !is_over && self.0.is_over() {
            self.0.notifier.deadline_changed.notify_one();
        }
    }
}

/// Notifies the newest poll that the outbox has messages; without a poll, it notifies [`Session::ended`], whose
/// deadline may have changed.
#[derive(Default)]
struct Notifier {
    listener: Mutex<Listener>,
    deadline_changed: Notify,
}

/// The newest poll.
#[derive(Default)]
struct Listener {
    poll: u64,
    notify: Option<oneshot::Sender<()>>,
}

impl Notifier {
    /// Returns the number of a new poll, which replaces all earlier polls.
    fn start_poll(&self) -> u64 {
        let mut listener = self.listener.lock();
        listener.notify = None;
        listener.poll += 1;
        listener.poll
    }

    /// Returns a receiver that is notified once, at the next message, and closed when a newer poll replaces this one.
    /// Returns `None` if a newer poll already has.
    fn subscribe(&self, poll: u64) -> Option<oneshot::Receiver<()>> {
        let mut listener = self.listener.lock();
        if listener.poll != poll {
            return None;
        }
        let (notify, notified) = oneshot::channel();
        listener.notify = Some(notify);
        Some(notified)
    }
}

impl Drainer for Notifier {
    fn wake(&self) {
        let notify = self.listener.lock().notify.take();
        // A poll that was dropped receives no notification either.
        if notify.is_none_or(|notify| notify.send(()).is_err()) {
            self.deadline_changed.notify_one();
        }
    }
}
