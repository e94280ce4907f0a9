//! The delivery of diffs to handlers, and the calls that a handler may make.

use crate::support::{DiffLog, pass, start};
use bennu_pubsub::PubSub;
use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn the_first_change_is_delivered_at_once_and_the_following_ones_together() {
    let log = DiffLog::default();
    let tracker = start(&PubSub::local(), log.clone());
    let _ada = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    assert_eq!(log.take(), ["room +ada"]);
    let _bob = tracker.track("room", "bob", &json!({})).unwrap();
    let _cyd = tracker.track("room", "cyd", &json!({})).unwrap();
    drop(tracker.track("room", "dot", &json!({})).unwrap());
    pass(Duration::from_millis(40)).await;
    assert!(log.take().is_empty());
    pass(Duration::from_millis(20)).await;
    assert_eq!(log.take(), ["room +bob +cyd"], "a join and a leave in between cancel out");
}

#[tokio::test(start_paused = true)]
async fn with_an_interval_of_zero_each_change_is_delivered_as_soon_as_the_handler_is_idle() {
    let log = DiffLog::default();
    let options = Options { diff_interval: Duration::ZERO, ..Options::default() };
    let tracker = Tracker::start(&PubSub::local(), "app", options, log.clone()).unwrap();
    let mut guards = Vec::new();
    for key in ["ada", "bob", "cyd"] {
        guards.push(tracker.track("room", key, &json!({})).unwrap());
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(log.take(), ["room +ada", "room +bob", "room +cyd"]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_joins_produces_few_diffs() {
    #[derive(Clone, Default)]
    struct Count {
        diffs: Arc<AtomicUsize>,
        joins: Arc<AtomicUsize>,
    }
    impl DiffHandler for Count {
        async fn handle_diff(&self, diff: Diff) {
            self.diffs.fetch_add(1, Ordering::Relaxed);
            self.joins.fetch_add(diff.topics[0].joins.len(), Ordering::Relaxed);
        }
    }
    let count = Count::default();
    let tracker = start(&PubSub::local(), count.clone());
    let mut guards = Vec::new();
    for n in 0..5000 {
        guards.push(tracker.track("room", &format!("user {n}"), &json!({})).unwrap());
        if n % 10 == 0 {
            pass(Duration::from_millis(1)).await;
        }
    }
    pass(Duration::from_millis(100)).await;
    assert_eq!(count.joins.load(Ordering::Relaxed), 5000);
    let diffs = count.diffs.load(Ordering::Relaxed);
    assert!((8..=14).contains(&diffs), "{diffs} diffs in half a second");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_loses_its_diff_and_receives_the_next() {
    #[derive(Clone, Default)]
    struct Panicking(DiffLog);
    impl DiffHandler for Panicking {
        async fn handle_diff(&self, diff: Diff) {
            assert!(&*diff.topics[0].topic != "poison", "this topic panics");
            self.0.handle_diff(diff).await;
        }
    }
    let handler = Panicking::default();
    let tracker = start(&PubSub::local(), handler.clone());
    let _poison = tracker.track("poison", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    let _room = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    assert_eq!(handler.0.take(), ["room +ada"]);
    assert_eq!(tracker.count("poison"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_delays_nothing_and_receives_the_sum_of_the_changes() {
    #[derive(Clone, Default)]
    struct Slow(DiffLog);
    impl DiffHandler for Slow {
        async fn handle_diff(&self, diff: Diff) {
            pass(Duration::from_secs(10)).await;
            self.0.handle_diff(diff).await;
        }
    }
    let slow = Slow::default();
    let tracker = start(&PubSub::local(), slow.clone());
    let mut ada = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    for _ in 0..100 {
        ada.untrack();
        pass(Duration::from_millis(60)).await;
        ada = tracker.track("room", "ada", &json!({})).unwrap();
        assert_eq!(tracker.count("room"), 1);
    }
    pass(Duration::from_secs(30)).await;
    assert_eq!(slow.0.take(), ["room +ada", "room +ada -ada"]);
    drop(ada);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_use_the_tracker() {
    #[derive(Clone, Default)]
    struct Calling {
        tracker: Arc<OnceLock<Tracker>>,
        seen: Arc<Mutex<Vec<usize>>>,
    }
    impl DiffHandler for Calling {
        async fn handle_diff(&self, diff: Diff) {
            let tracker = self.tracker.get().unwrap();
            self.seen.lock().push(tracker.count("room"));
            if &*diff.topics[0].topic == "room" {
                drop(tracker.track("log", "handler", &json!({})).unwrap());
            }
        }
    }
    let handler = Calling::default();
    let tracker = start(&PubSub::local(), handler.clone());
    handler.tracker.set(tracker.clone()).unwrap();
    let _ada = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(100)).await;
    assert_eq!(*handler.seen.lock(), [1]);
    tracker.leave().await;
}
