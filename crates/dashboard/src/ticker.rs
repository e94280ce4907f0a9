//! The task that takes a snapshot a second and broadcasts it to all who look, and what it has told in the last minutes.
//!
//! It runs while somebody looks: the first viewer starts it, and it ends itself a second after the last has gone. The
//! dashboard owns it, and ends it when it goes. Invariant: there is one at most.

use crate::recorder::Instruments;
use crate::snapshot::Snapshot;
use bennu::{Broadcast, Endpoint, Payload};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Between two snapshots.
const EVERY: Duration = Duration::from_secs(1);

/// What a new viewer gets to see at once: five minutes.
const KEPT: usize = 300;

/// The event of a snapshot.
const SNAPSHOT: &str = "snapshot";

pub(crate) struct Ticker {
    instruments: Arc<Instruments>,
    topic: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    viewers: usize,
    /// Snapshots, the oldest first.
    told: VecDeque<Box<RawValue>>,
    task: Option<JoinHandle<()>>,
}

/// Somebody who looks; gone when it is dropped.
pub(crate) struct Viewer(Arc<Ticker>);

impl Ticker {
    /// What it tells goes to `topic`.
    pub(crate) fn new(instruments: Arc<Instruments>, topic: String) -> Self {
        Ticker { instruments, topic, state: Mutex::default() }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// One more looks. Must be called on the runtime that the ticker shall run on.
    pub(crate) fn watch(self: &Arc<Self>, endpoint: &Endpoint) -> Viewer {
        let mut state = self.state.lock();
        state.viewers += 1;
        if state.task.is_none() {
            state.task = Some(tokio::spawn(run(Arc::downgrade(self), endpoint.clone())));
        }
        Viewer(self.clone())
    }

    /// What was told lately, the oldest first.
    pub(crate) fn told(&self) -> Vec<Box<RawValue>> {
        self.state.lock().told.iter().cloned().collect()
    }

    /// Tells how things stand; `false` when nobody looks any more, and the task ends.
    fn tick(&self, endpoint: &Endpoint) -> bool {
        let mut state = self.state.lock();
        if state.viewers == 0 {
            *state = State::default();
            return false;
        }
        let json = serde_json::value::to_raw_value(&Snapshot::take(&self.instruments, state.viewers));
        let json = json.expect("a snapshot is numbers and strings");
        if state.told.len() == KEPT {
            state.told.pop_front();
        }
        state.told.push_back(json.clone());
        drop(state);
        let payload = Payload::from_json_text(json.get()).expect("serde_json writes JSON");
        match Broadcast::new(&self.topic, SNAPSHOT, payload) {
            // Not through the endpoint: it would be counted among the application's.
            Ok(snapshot) => _ = endpoint.pubsub().local_broadcast(&self.topic, snapshot),
            Err(error) => tracing::error!(%error, "the dashboard's snapshot cannot be broadcast"),
        }
        true
    }
}

async fn run(ticker: Weak<Ticker>, endpoint: Endpoint) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !ticker.upgrade().is_some_and(|ticker| ticker.tick(&endpoint)) {
            return;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(task) = &self.state.get_mut().task {
            task.abort();
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.state.lock().viewers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu::token::Secret;

    fn ticks(ticker: &Ticker) -> usize {
        ticker.state.lock().told.len()
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_work_only_while_somebody_looks_and_minutes_are_kept_not_hours() {
        let endpoint = Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap());
        let ticker = Arc::new(Ticker::new(Arc::new(Instruments::new()), "bennu:dashboard:t".to_owned()));
        let (one, two) = (ticker.watch(&endpoint), ticker.watch(&endpoint));
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(ticks(&ticker), 3, "one a second, for both");
        drop(one);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(ticks(&ticker), KEPT);
        drop(two);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(ticker.state.lock().task.is_none() && ticks(&ticker) == 0, "it has ended");
        let _three = ticker.watch(&endpoint);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ticks(&ticker), 1, "and begins anew");
    }
}
