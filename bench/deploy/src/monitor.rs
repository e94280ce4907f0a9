//! The monitor: records the state that each client reports, and waits for a state of all clients.
//!
//! The clients report to it, and the run waits on it. Invariant: a client is back when it is joined and its presence
//! list has every client of its room. Each client reports its own state only.

use crate::report::{Distribution, Report, Restart};
use crate::{Error, ROOM_SIZE};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;

pub(crate) struct Monitor {
    state: Mutex<State>,
    changed: Notify,
    marker: AtomicU64,
}

struct State {
    clients: Vec<ClientState>,
    back: usize,
    measuring: bool,
    joins: Vec<Duration>,
    absences: Vec<Duration>,
    joined_at: Vec<Instant>,
}

#[derive(Clone, Default)]
struct ClientState {
    joined: bool,
    /// The number of clients in its presence list.
    seen: usize,
    /// The number of the latest marker that it has received.
    marker: u64,
}

impl Monitor {
    pub(crate) fn new(clients: usize) -> Self {
        let clients = vec![ClientState::default(); clients];
        let (joins, absences, joined_at) = Default::default();
        let state = State { clients, back: 0, measuring: false, joins, absences, joined_at };
        Monitor { state: Mutex::new(state), changed: Notify::new(), marker: AtomicU64::new(0) }
    }

    /// Returns the topic of a client's room.
    pub(crate) fn room(client: usize) -> String {
        format!("presence:{}", client / ROOM_SIZE)
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        let clients = self.state.lock().clients.len();
        (0..clients).step_by(ROOM_SIZE).map(Monitor::room).collect()
    }

    /// Records a join, and the time from the client's connection to the reply.
    pub(crate) fn joined(&self, client: usize, took: Duration) {
        self.change(client, |client| client.joined = true);
        let mut state = self.state.lock();
        if state.measuring {
            state.joins.push(took);
            state.joined_at.push(Instant::now());
        }
    }

    pub(crate) fn interrupted(&self, client: usize) {
        self.change(client, |client| client.joined = false);
    }

    /// Records the length of a client's presence list.
    pub(crate) fn sees(&self, client: usize, count: usize) {
        self.change(client, |client| client.seen = count);
    }

    /// Records the time between a leave and the next join of one presence, as one client sees it.
    pub(crate) fn absence(&self, lasted: Duration) {
        let mut state = self.state.lock();
        if state.measuring {
            state.absences.push(lasted);
        }
    }

    pub(crate) fn marked(&self, client: usize, number: u64) {
        self.change(client, |client| client.marker = number);
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut ClientState)) {
        let mut state = self.state.lock();
        let room = room_size(state.clients.len(), number);
        let client = &mut state.clients[number];
        let before = client.is_back(room);
        change(client);
        let after = client.is_back(room);
        state.back = state.back + usize::from(after) - usize::from(before);
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn start_measuring(&self) {
        self.state.lock().measuring = true;
    }

    /// Waits until every client is back.
    ///
    /// # Errors
    /// After the limit, with the clients that are not back.
    pub(crate) async fn all_back(&self, limit: Duration) -> Result<(), String> {
        let done = |state: &State| state.back == state.clients.len();
        if self.wait(limit, done).await { Ok(()) } else { Err(self.missing()) }
    }

    pub(crate) fn next_marker(&self) -> u64 {
        self.marker.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns whether every client received this marker within the limit.
    pub(crate) async fn all_marked(&self, number: u64, limit: Duration) -> bool {
        self.wait(limit, |state| state.clients.iter().all(|client| client.marker >= number)).await
    }

    async fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waiting = async {
            while !done(&self.state.lock()) {
                self.changed.notified().await;
            }
        };
        timeout(limit, waiting).await.is_ok()
    }

    fn missing(&self) -> String {
        let state = self.state.lock();
        let all = state.clients.len();
        let is_missing = |(number, client): &(usize, &ClientState)| !client.is_back(room_size(all, *number));
        let mut missing: Vec<_> = state.clients.iter().enumerate().filter(is_missing).collect();
        // Clients that are not joined come first: each of them also makes its whole room incomplete.
        missing.sort_by_key(|(_, client)| client.joined);
        let describe = |(number, client): &(usize, &ClientState)| {
            format!("{number} (joined: {}, sees {})", client.joined, client.seen)
        };
        let first: Vec<String> = missing.iter().take(5).map(describe).collect();
        format!("{} of {all} clients are not back: {}", missing.len(), first.join(", "))
    }

    pub(crate) fn report(&self, restarts: Vec<Restart>) -> Report {
        let state = self.state.lock();
        let mut busiest = 0;
        let mut from = 0;
        for (n, at) in state.joined_at.iter().enumerate() {
            while *at - state.joined_at[from] > Duration::from_millis(100) {
                from += 1;
            }
            busiest = busiest.max(n + 1 - from);
        }
        Report {
            clients: state.clients.len(),
            restarts,
            joins: Distribution::of(state.joins.clone()),
            absences: Distribution::of(state.absences.clone()),
            busiest,
        }
    }

    /// Records one line of `swarm.mjs`: the name of a report and its numbers, times in milliseconds.
    pub(crate) fn record_line(&self, line: &str) -> Result<(), Error> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |n: usize| -> Result<u64, String> {
            let word = words.get(n).ok_or_else(|| format!("the report {line:?} has no word {n}"))?;
            word.parse().map_err(|_| format!("the word {word:?} of the report {line:?} is not a number"))
        };
        let millis = |n| number(n).map(Duration::from_millis);
        match words[0] {
            "joined" => self.joined(number(1)? as usize, millis(2)?),
            "interrupted" => self.interrupted(number(1)? as usize),
            "sees" => self.sees(number(1)? as usize, number(2)? as usize),
            "absence" => self.absence(millis(1)?),
            "marked" => self.marked(number(1)? as usize, number(2)?),
            _ => return Err(format!("{line:?} is not a report of swarm.mjs").into()),
        }
        Ok(())
    }
}

impl ClientState {
    fn is_back(&self, room: usize) -> bool {
        self.joined && self.seen == room
    }
}

/// Returns the number of clients in a client's room; the last room may have fewer than [`ROOM_SIZE`].
fn room_size(clients: usize, client: usize) -> usize {
    ROOM_SIZE.min(clients - client / ROOM_SIZE * ROOM_SIZE)
}
