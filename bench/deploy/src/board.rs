//! Who is where: what every client reports, and who waits for all of them.
//!
//! Invariant: a client is back when it is joined and sees everybody of its room; each client reports itself only.

use crate::outcome::{Outcome, Restart, Spread};
use crate::{Error, ROOM};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;

pub(crate) struct Board {
    state: Mutex<State>,
    changed: Notify,
    marker: AtomicU64,
}

struct State {
    clients: Vec<Client>,
    back: usize,
    measuring: bool,
    joins: Vec<Duration>,
    absences: Vec<Duration>,
    joined_at: Vec<Instant>,
}

#[derive(Clone, Default)]
struct Client {
    joined: bool,
    /// How many it sees in its room.
    seen: usize,
    marked: u64,
}

impl Board {
    pub(crate) fn new(clients: usize) -> Self {
        let clients = vec![Client::default(); clients];
        let (joins, absences, joined_at) = Default::default();
        let state = State { clients, back: 0, measuring: false, joins, absences, joined_at };
        Board { state: Mutex::new(state), changed: Notify::new(), marker: AtomicU64::new(0) }
    }

    /// A client's room.
    pub(crate) fn room(client: usize) -> String {
        format!("presence:{}", client / ROOM)
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        let clients = self.state.lock().clients.len();
        (0..clients).step_by(ROOM).map(Board::room).collect()
    }

    /// It is joined, and asked for that so long ago.
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

    /// It sees so many in its room.
    pub(crate) fn sees(&self, client: usize, count: usize) {
        self.change(client, |client| client.seen = count);
    }

    /// It has seen somebody leave and come again.
    pub(crate) fn absence(&self, lasted: Duration) {
        let mut state = self.state.lock();
        if state.measuring {
            state.absences.push(lasted);
        }
    }

    pub(crate) fn marked(&self, client: usize, number: u64) {
        self.change(client, |client| client.marked = number);
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Client)) {
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

    /// Waits until every client is back; the error says who is not.
    pub(crate) async fn all_back(&self, patience: Duration) -> Result<(), String> {
        let done = |state: &State| state.back == state.clients.len();
        if self.wait(patience, done).await { Ok(()) } else { Err(self.missing()) }
    }

    pub(crate) fn next_marker(&self) -> u64 {
        self.marker.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether every client got this broadcast within the time.
    pub(crate) async fn all_marked(&self, number: u64, patience: Duration) -> bool {
        self.wait(patience, |state| state.clients.iter().all(|client| client.marked >= number)).await
    }

    async fn wait(&self, patience: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waiting = async {
            while !done(&self.state.lock()) {
                self.changed.notified().await;
            }
        };
        timeout(patience, waiting).await.is_ok()
    }

    fn missing(&self) -> String {
        let state = self.state.lock();
        let all = state.clients.len();
        let is_missing = |(number, client): &(usize, &Client)| !client.is_back(room_size(all, *number));
        let mut missing: Vec<_> = state.clients.iter().enumerate().filter(is_missing).collect();
        // One that is not joined is missed by its whole room.
        missing.sort_by_key(|(_, client)| client.joined);
        let shown =
            |(number, client): &(usize, &Client)| format!("{number} (joined: {}, sees {})", client.joined, client.seen);
        let shown: Vec<String> = missing.iter().take(5).map(shown).collect();
        format!("{} of {all} are not back: {}", missing.len(), shown.join(", "))
    }

    pub(crate) fn outcome(&self, restarts: Vec<Restart>) -> Outcome {
        let state = self.state.lock();
        let mut busiest = 0;
        let mut from = 0;
        for (n, at) in state.joined_at.iter().enumerate() {
            while *at - state.joined_at[from] > Duration::from_millis(100) {
                from += 1;
            }
            busiest = busiest.max(n + 1 - from);
        }
        Outcome {
            clients: state.clients.len(),
            restarts,
            joins: Spread::of(state.joins.clone()),
            absences: Spread::of(state.absences.clone()),
            busiest,
        }
    }

    /// What a client that reports by text has said.
    pub(crate) fn report(&self, line: &str) -> Result<(), Error> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |n: usize| words.get(n).ok_or("a number is missing")?.parse::<u64>().map_err(|_| "no number");
        let millis = |n| number(n).map(Duration::from_millis);
        match words[0] {
            "joined" => self.joined(number(1)? as usize, millis(2)?),
            "interrupted" => self.interrupted(number(1)? as usize),
            "sees" => self.sees(number(1)? as usize, number(2)? as usize),
            "absence" => self.absence(millis(1)?),
            "marked" => self.marked(number(1)? as usize, number(2)?),
            _ => return Err(format!("what is {line:?}?").into()),
        }
        Ok(())
    }
}

impl Client {
    fn is_back(&self, room: usize) -> bool {
        self.joined && self.seen == room
    }
}

/// The last room may have fewer.
fn room_size(clients: usize, client: usize) -> usize {
    ROOM.min(clients - client / ROOM * ROOM)
}
