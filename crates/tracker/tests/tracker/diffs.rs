//! What handlers are told, and what they may do.

use crate::support::{Told, pass, start};
use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
use bennu_pubsub::PubSub;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn the_first_change_is_told_at_once_and_those_that_follow_together() {
    let told = Told::default();
    let tracker = start(&PubSub::local(), told.clone());
    let _ada = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    assert_eq!(told.take(), ["room +ada"]);
    let _bob = tracker.track("room", "bob", &json!({})).unwrap();
    let _cyd = tracker.track("room", "cyd", &json!({})).unwrap();
    drop(tracker.track("room", "dot", &json!({})).unwrap());
    pass(Duration::from_millis(40)).await;
    assert!(told.take().is_empty());
    pass(Duration::from_millis(20)).await;
    assert_eq!(told.take(), ["room +bob +cyd"], "and who came and went is not told");
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_zero_tells_each_change_as_soon_as_the_handler_is_free() {
    let told = Told::default();
    let options = Options { diff_interval: Duration::ZERO, ..Options::default() };
    let tracker = Tracker::start(&PubSub::local(), "app", options, told.clone()).unwrap();
    let mut guards = Vec::new();
    for key in ["ada", "bob", "cyd"] {
        guards.push(tracker.track("room", key, &json!({})).unwrap());
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(told.take(), ["room +ada", "room +bob", "room +cyd"]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_joins_makes_few_diffs() {
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
async fn a_handler_that_panics_loses_its_diff_and_hears_the_next() {
    #[derive(Clone, Default)]
    struct Fragile(Told);
    impl DiffHandler for Fragile {
        async fn handle_diff(&self, diff: Diff) {
            assert!(&*diff.topics[0].topic != "fire", "it burns");
            self.0.handle_diff(diff).await;
        }
    }
    let fragile = Fragile::default();
    let tracker = start(&PubSub::local(), fragile.clone());
    let _fire = tracker.track("fire", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    let _room = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(1)).await;
    assert_eq!(fragile.0.take(), ["room +ada"]);
    assert_eq!(tracker.count("fire"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_holds_nothing_up_and_is_told_the_sum_of_what_it_missed() {
    #[derive(Clone, Default)]
    struct Slow(Told);
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
    struct Nosy {
        tracker: Arc<OnceLock<Tracker>>,
        seen: Arc<Mutex<Vec<usize>>>,
    }
    impl DiffHandler for Nosy {
        async fn handle_diff(&self, diff: Diff) {
            let tracker = self.tracker.get().unwrap();
            self.seen.lock().push(tracker.count("room"));
            if &*diff.topics[0].topic == "room" {
                drop(tracker.track("log", "nosy", &json!({})).unwrap());
            }
        }
    }
    let nosy = Nosy::default();
    let tracker = start(&PubSub::local(), nosy.clone());
    nosy.tracker.set(tracker.clone()).unwrap();
    let _ada = tracker.track("room", "ada", &json!({})).unwrap();
    pass(Duration::from_millis(100)).await;
    assert_eq!(*nosy.seen.lock(), [1]);
    tracker.leave().await;
}
