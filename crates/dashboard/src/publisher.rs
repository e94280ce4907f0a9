//! The publisher of snapshots: a task that broadcasts one snapshot a second to all open pages, and the snapshots of the
//! last five minutes.
//!
//! Each channel of a page holds a [`Subscription`]. The first subscription starts the task; the task ends within a
//! second of the drop of the last one, and clears the history. The dashboard's router owns the publisher, whose drop
//! aborts the task. Invariant: a publisher has at most one task.

use crate::recorder::DashboardRecorder;
use crate::snapshot::Snapshot;
use bennu::{Broadcast, Endpoint, Payload};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// The time between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);

/// The most snapshots in the history, which a new page receives at once: five minutes.
const MAX_HISTORY: usize = 300;

/// The event name of a snapshot.
const SNAPSHOT: &str = "snapshot";

pub(crate) struct SnapshotPublisher {
    recorder: DashboardRecorder,
    topic: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscriptions: usize,
    /// Snapshots, the oldest first.
    history: VecDeque<Box<RawValue>>,
    task: Option<JoinHandle<()>>,
}

/// An open page. Dropping it ends the subscription.
pub(crate) struct Subscription {
    publisher: Arc<SnapshotPublisher>,
    pages: Arc<OpenPages>,
}

/// The number of open pages of all dashboards of an endpoint. Their connections are not the application's clients.
#[derive(Default)]
struct OpenPages(AtomicUsize);

impl OpenPages {
    fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(Arc::default)
    }
}

impl SnapshotPublisher {
    /// Creates a publisher that broadcasts to `topic`. No task runs yet.
    pub(crate) fn new(recorder: DashboardRecorder, topic: String) -> Self {
        SnapshotPublisher { recorder, topic, state: Mutex::default() }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Adds a subscription and starts the task if none runs.
    ///
    /// # Panics
    /// When called outside a tokio runtime; the task runs on the caller's.
    pub(crate) fn subscribe(self: &Arc<Self>, endpoint: &Endpoint) -> Subscription {
        let mut state = self.state.lock();
        state.subscriptions += 1;
        if state.task.is_none() {
            state.task = Some(tokio::spawn(run(Arc::downgrade(self), endpoint.clone())));
        }
        let pages = OpenPages::of(endpoint);
        pages.0.fetch_add(1, Ordering::Relaxed);
        Subscription { publisher: self.clone(), pages }
    }

    /// Returns the recent snapshots, the oldest first.
    pub(crate) fn history(&self) -> Vec<Box<RawValue>> {
        self.state.lock().history.iter().cloned().collect()
    }

    /// Broadcasts a snapshot and returns `true`; without a subscription clears the state and returns `false`.
    fn publish(&self, endpoint: &Endpoint) -> bool {
        let mut state = self.state.lock();
        if state.subscriptions == 0 {
            *state = State::default();
            return false;
        }
        let pages = OpenPages::of(endpoint).0.load(Ordering::Relaxed);
        let json = serde_json::value::to_raw_value(&Snapshot::take(self.recorder.aggregates(), pages));
        let json = json.expect("a snapshot is numbers and strings");
        if state.history.len() == MAX_HISTORY {
            state.history.pop_front();
        }
        state.history.push_back(json.clone());
        drop(state);
        let payload = Payload::from_json_text(json.get()).expect("serde_json writes JSON");
        match Broadcast::new(&self.topic, SNAPSHOT, payload) {
            // Not through the endpoint, which would count it among the application's broadcasts.
            Ok(snapshot) => _ = endpoint.pubsub().local_broadcast(&self.topic, snapshot),
            Err(error) => tracing::error!(%error, "could not broadcast the dashboard's snapshot"),
        }
        true
    }
}

async fn run(publisher: Weak<SnapshotPublisher>, endpoint: Endpoint) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !publisher.upgrade().is_some_and(|publisher| publisher.publish(&endpoint)) {
            return;
        }
    }
}

impl Drop for SnapshotPublisher {
    fn drop(&mut self) {
        if let Some(task) = &self.state.get_mut().task {
            task.abort();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.publisher.state.lock().subscriptions -= 1;
        self.pages.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu::token::Secret;

    fn snapshots(publisher: &SnapshotPublisher) -> usize {
        publisher.state.lock().history.len()
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_runs_only_with_subscriptions_and_keeps_five_minutes_of_snapshots() {
        let endpoint = Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap());
        let publisher = Arc::new(SnapshotPublisher::new(DashboardRecorder::new(), "bennu:dashboard:t".to_owned()));
        let (one, two) = (publisher.subscribe(&endpoint), publisher.subscribe(&endpoint));
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(snapshots(&publisher), 3, "one a second for both subscriptions");
        drop(one);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(snapshots(&publisher), MAX_HISTORY);
        drop(two);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(publisher.state.lock().task.is_none() && snapshots(&publisher) == 0, "the task has ended");
        let _three = publisher.subscribe(&endpoint);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(snapshots(&publisher), 1, "the task starts again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_pages_of_all_dashboards_of_an_endpoint_are_not_clients() {
        let endpoint = Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap());
        let dashboard = |topic: &str| {
            let recorder = DashboardRecorder::new();
            metrics::with_local_recorder(&recorder, || metrics::gauge!("bennu.socket.connected").set(5.0));
            Arc::new(SnapshotPublisher::new(recorder, topic.to_owned()))
        };
        let (one, other) = (dashboard("bennu:dashboard:1"), dashboard("bennu:dashboard:2"));
        let _pages = [one.subscribe(&endpoint), other.subscribe(&endpoint), other.subscribe(&endpoint)];
        tokio::time::sleep(Duration::from_millis(500)).await;
        for publisher in [one, other] {
            let snapshot: serde_json::Value = serde_json::from_str(publisher.history()[0].get()).unwrap();
            assert_eq!(snapshot["gauges"]["bennu.socket.connected"], 2.0);
        }
    }
}
