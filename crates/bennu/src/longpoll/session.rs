//! One client's session between its requests: the connection, who waits for messages, and when it was last heard.
//!
//! Invariants: of two polls at once the newest gets the messages; a batch is kept until the client has shown that it
//! received it; POSTs are taken one after another; once over, a session delivers what was queued and then is gone.

use super::batch::{self, Batch, JSON_STRING};
use super::places::Place;
use bennu_channels::protocol::{Close, Serializer};
use bennu_channels::{Connected, Connection, Drainer, Encoding, Taken};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{MutexGuard, Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a session that has been closed waits for its client to fetch what was said before: a client that is there
/// polls again as soon as it has been answered. Without a bound, clients that have left, or whose POST is slow to
/// arrive, would hold up a drain.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Session {
    connection: Arc<Connection>,
    doorbell: Arc<Doorbell>,
    state: Mutex<State>,
    posting: tokio::sync::Mutex<()>,
}

struct State {
    /// The number of the last batch that was sent.
    sent: u64,
    /// That batch, until the client has shown that it received it.
    kept: Option<Batch>,
    /// The connection has closed, and all that was queued has been taken.
    over: bool,
    /// Why, in words, where there is something to say.
    reason: Option<String>,
    /// Requests of the client that are under way.
    requests: usize,
    /// When the last request ended.
    heard: Instant,
    /// When the connection was found closed with its last words still to fetch.
    closed: Option<Instant>,
    /// Our place among the node's sessions.
    place: Option<Place>,
}

/// What a poll ends with, and the number of the last batch that the client then has received; `None` where that is
/// not known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Messages(Option<u64>, Batch),
    /// Nothing came within the window.
    Nothing(Option<u64>),
    /// There is no such session, or it is over; why, where there is something to say.
    Gone(Option<String>),
}

/// What became of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Done,
    /// What is wrong with it; messages before that one have been taken.
    Bad(String),
    Gone,
}

impl Session {
    pub(crate) fn open(connected: Connected, serializer: Serializer, place: Place) -> Arc<Self> {
        let doorbell = Arc::new(Doorbell::default());
        let connection = connected.open(Encoding { serializer, framing: &JSON_STRING }, doorbell.clone());
        let (heard, place) = (Instant::now(), Some(place));
        let state = State { sent: 0, kept: None, over: false, reason: None, requests: 0, heard, closed: None, place };
        let state = Mutex::new(state);
        Arc::new(Session { connection, doorbell, state, posting: tokio::sync::Mutex::default() })
    }

    /// Waits up to `window` for messages. `received` is what the client's ticket says.
    pub(crate) async fn poll(&self, received: Option<u64>, window: Duration) -> Polled {
        let _request = self.request();
        let deadline = Instant::now() + window;
        let turn = self.doorbell.turn();
        loop {
            let Some(rung) = self.doorbell.listen(turn) else { break };
            if let Some(polled) = self.take(received) {
                return polled;
            }
            match timeout_at(deadline, rung).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => return Polled::Nothing(Some(self.state.lock().sent)),
            }
        }
        // A newer poll has taken over. Answered at once, a client with two loops would spin.
        sleep_until(deadline).await;
        Polled::Nothing(None)
    }

    /// What the client is to get now, if anything.
    fn take(&self, received: Option<u64>) -> Option<Polled> {
        let mut state = self.state.lock();
        if let Some(kept) = &state.kept
            && received.is_some_and(|received| received + 1 == state.sent)
        {
            metrics::counter!("bennu.longpoll.repeated").increment(1);
            return Some(Polled::Messages(Some(state.sent), kept.clone()));
        }
        state.kept = None;
        let mut messages = Vec::new();
        while !state.over {
            match self.connection.take(&mut messages, usize::MAX) {
                Taken::Some => {}
                Taken::All => break,
                Taken::Last(close) => {
                    if let Close::TooSlow { waiting, limit } = close {
                        tracing::warn!(waiting, limit, "closing a client that does not read");
                    }
                    state.over = true;
                    state.reason = Some(close.reason()).filter(|reason| !reason.is_empty());
                }
            }
        }
        let over = state.over;
        let batch = Batch::new(messages);
        let polled = if !batch.is_empty() {
            state.sent += 1;
            state.kept = Some(batch.clone());
            Some(Polled::Messages(Some(state.sent), batch))
        } else {
            over.then(|| Polled::Gone(state.reason.take()))
        };
        drop(state);
        match polled {
            Some(Polled::Gone(_)) => self.end(),
            // The channels end now; the session stays until the client has heard its last words.
            _ if over => self.connection.finish(),
            _ => {}
        }
        polled
    }

    /// The right to post, which one request has at a time.
    pub(crate) async fn posting(&self) -> Posting<'_> {
        let request = self.request();
        Posting { session: self, _turn: self.posting.lock().await, _request: request }
    }

    /// Returns when the session has ended, which it does once its client has not been heard for `idle`, or has not
    /// fetched its last words.
    pub(crate) async fn ended(&self, idle: Duration) {
        let mut due = Instant::now() + idle;
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.doorbell.unheard.notified() => {}
            }
            if self.state.lock().place.is_none() {
                return;
            }
            due = self.due(idle);
            if due <= Instant::now() {
                metrics::counter!("bennu.longpoll.expired").increment(1);
                return self.end();
            }
        }
    }

    fn due(&self, idle: Duration) -> Instant {
        let closing = self.connection.outbox().closing().is_some();
        let mut state = self.state.lock();
        let unheard = if state.requests > 0 { Instant::now() } else { state.heard } + idle;
        if closing {
            let closed = *state.closed.get_or_insert_with(Instant::now);
            return unheard.min(closed + LAST_WORDS);
        }
        unheard
    }

    /// Ends the session and its channels, and gives its place back. What still waits is dropped.
    pub(crate) fn end(&self) {
        self.connection.finish();
        let mut state = self.state.lock();
        state.over = true;
        state.kept = None;
        let place = state.place.take();
        drop(state);
        drop(place);
        self.doorbell.unheard.notify_one();
    }

    fn is_over(&self) -> bool {
        self.state.lock().over || self.connection.outbox().closing().is_some()
    }

    fn request(&self) -> Underway<'_> {
        self.state.lock().requests += 1;
        Underway(self)
    }
}

/// See [`Session::posting`].
pub(crate) struct Posting<'a> {
    session: &'a Session,
    _turn: MutexGuard<'a, ()>,
    _request: Underway<'a>,
}

impl Posting<'_> {
    /// Hands the messages of a body on, in their order.
    pub(crate) async fn publish(&self, body: &str, ndjson: bool) -> Published {
        let connection = &self.session.connection;
        let mut result = Published::Done;
        for (n, message) in batch::messages(body, ndjson).enumerate() {
            if self.session.is_over() {
                return Published::Gone;
            }
            // As with messages that arrive one by one: what this one asked for is done before the next is looked at.
            let taken = match message {
                Ok(message) => {
                    let taken = connection.receive_in_turn(message.frame()).await;
                    taken.map_err(|error| format!("message {}: {error}", n + 1))
                }
                Err(error) => Err(error),
            };
            if let Err(reason) = taken {
                result = Published::Bad(reason);
                break;
            }
            // And other clients get their turn.
            tokio::task::yield_now().await;
        }
        if self.session.is_over() { Published::Gone } else { result }
    }
}

/// A request of the client that is under way. Until it ends, the client counts as heard.
struct Underway<'a>(&'a Session);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.requests -= 1;
        state.heard = Instant::now();
        let over = state.over;
        drop(state);
        // A poll may have been given up after it was rung: then nobody fetches the last words, and the wait starts now.
        if !over && self.0.is_over() {
            self.0.doorbell.unheard.notify_one();
        }
    }
}

/// Tells the newest poll that there is something to take, and [`Session::ended`] when nobody polls.
#[derive(Default)]
struct Doorbell {
    listening: Mutex<Listening>,
    unheard: Notify,
}

#[derive(Default)]
struct Listening {
    turn: u64,
    poll: Option<oneshot::Sender<()>>,
}

impl Doorbell {
    /// A number for a new poll, which takes over from all before it.
    fn turn(&self) -> u64 {
        let mut listening = self.listening.lock();
        listening.poll = None;
        listening.turn += 1;
        listening.turn
    }

    /// Rings once, when there is something new; broken off when a newer poll takes over, and `None` if one has.
    fn listen(&self, turn: u64) -> Option<oneshot::Receiver<()>> {
        let mut listening = self.listening.lock();
        if listening.turn != turn {
            return None;
        }
        let (ring, rung) = oneshot::channel();
        listening.poll = Some(ring);
        Some(rung)
    }
}

impl Drainer for Doorbell {
    fn wake(&self) {
        let poll = self.listening.lock().poll.take();
        // A poll that has been given up hears nothing either.
        if poll.is_none_or(|poll| poll.send(()).is_err()) {
            self.unheard.notify_one();
        }
    }
}
