//! The calls of a tracker on one node.

use crate::support::{DiffLog, start};
use bennu_pubsub::PubSub;
use bennu_tracker::{Options, OptionsError, PresenceRecord, TrackError, Tracker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn keys(tracker: &Tracker, topic: &str) -> Vec<String> {
    tracker.list(topic).iter().map(|presence| presence.key().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_presence_is_listed_from_its_call_until_its_guard_is_dropped() {
    let tracker = start(&PubSub::local(), ());
    let bob = tracker.track("room", "bob", &json!({ "n": 1 })).unwrap();
    let ada = tracker.track("room", "ada", &json!({ "n": 2 })).unwrap();
    let again = tracker.track("room", "ada", &json!({ "n": 3 })).unwrap();
    assert_eq!(keys(&tracker, "room"), ["ada", "ada", "bob"]);
    assert_eq!((tracker.count("room"), tracker.key_count("room"), tracker.topic_count()), (3, 2, 1));
    let metas: Vec<_> = tracker.get_by_key("room", "ada").iter().map(|one| one.meta().to_owned()).collect();
    assert_eq!(metas, [r#"{"n":2}"#, r#"{"n":3}"#]);
    drop(ada);
    bob.untrack();
    assert_eq!(keys(&tracker, "room"), ["ada"]);
    drop(again);
    assert_eq!((tracker.count("room"), tracker.topic_count()), (0, 0));
    assert!(tracker.get_by_key("room", "ada").is_empty() && tracker.list("nowhere").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_update_has_a_new_reference_and_contains_the_previous_one() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Mood {
        mood: String,
    }
    let tracker = start(&PubSub::local(), ());
    let ada = tracker.track("room", "ada", &Mood { mood: "calm".into() }).unwrap();
    let first = ada.reference();
    assert_eq!((ada.record().reference(), ada.record().previous()), (first, None));
    let second = ada.update(&Mood { mood: "glad".into() }).unwrap();
    assert_eq!(ada.reference(), second);
    let third = ada
        .update_with(|mut meta| {
            meta["mood"] = json!("sad");
            meta
        })
        .unwrap();
    let listed = tracker.get_by_key("room", "ada");
    assert_eq!((listed.len(), listed[0].reference(), listed[0].previous()), (1, third, Some(second)));
    assert_eq!(listed[0].meta_as::<Mood>().unwrap(), Mood { mood: "sad".into() });
    assert_eq!((&**listed[0].topic(), listed[0].node().as_str()), ("room", "nonode@nohost"));
    assert_eq!(tracker.count("room"), 1);
}

#[tokio::test(start_paused = true)]
async fn update_with_runs_again_from_the_newer_meta_when_another_update_came_first() {
    let tracker = start(&PubSub::local(), ());
    let counter = Arc::new(tracker.track("room", "ada", &json!({ "n": 0 })).unwrap());
    let calls = AtomicU32::new(0);
    counter
        .update_with(|meta| {
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                counter.update(&json!({ "n": 10 })).unwrap();
            }
            json!({ "n": meta["n"].as_i64().unwrap() + 1 })
        })
        .unwrap();
    assert_eq!(counter.record().meta(), r#"{"n":11}"#);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_does_not_change() {
    let tracker = start(&PubSub::local(), ());
    let ada = tracker.track("room", "ada", &json!({})).unwrap();
    let listed = tracker.list("room");
    ada.update(&json!({ "later": true })).unwrap();
    let _bob = tracker.track("room", "bob", &json!({})).unwrap();
    assert_eq!(listed.iter().map(PresenceRecord::meta).collect::<Vec<_>>(), ["{}"]);
    assert_eq!((listed.len(), listed.key_count(), listed.by_key("bob").count()), (1, 1, 0));
    assert_eq!(tracker.list("room").by_key("bob").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_topic_key_or_meta_is_an_error_with_its_value_and_limit() {
    let tracker = start(&PubSub::local(), ());
    let error = |topic: &str, key: &str, meta: &Value| tracker.track(topic, key, meta).unwrap_err().to_string();
    assert_eq!(error("room", "ada", &json!([1, 2])), "the meta is not a JSON object: [1,2]");
    assert_eq!(error("room", "ada", &json!(null)), "the meta is not a JSON object: null");
    assert_eq!(error(&"x".repeat(1025), "ada", &json!({})), "the topic has 1025 bytes, the limit is 1024");
    assert_eq!(error("room", &"x".repeat(1025), &json!({})), "the key has 1025 bytes, the limit is 1024");
    let long = json!({ "x": "y".repeat(64 * 1024) });
    assert_eq!(error("room", "ada", &long), "the meta has 65544 bytes, the limit is 65536");
    let ada = tracker.track("room", "ada", &json!({ "n": 1 })).unwrap();
    assert!(matches!(ada.update(&7), Err(TrackError::NotAnObject(_))));
    assert!(matches!(ada.update_with(|_| json!("x")), Err(TrackError::NotAnObject(_))));
    assert_eq!((ada.record().meta(), tracker.count("room")), (r#"{"n":1}"#, 1));
}

#[tokio::test(start_paused = true)]
async fn a_tracker_does_not_start_with_inconsistent_options() {
    let options = Options { pool_size: 0, ..Options::default() };
    let rejected = Tracker::start(&PubSub::local(), "app", options, ());
    assert!(matches!(rejected, Err(OptionsError::Zero { name: "pool_size" })));
}

#[tokio::test(start_paused = true)]
async fn after_leaving_a_tracker_is_read_only() {
    let log = DiffLog::default();
    let tracker = start(&PubSub::local(), log.clone());
    let ada = tracker.track("room", "ada", &json!({})).unwrap();
    tracker.leave().await;
    tracker.leave().await;
    assert!(matches!(tracker.track("room", "bob", &json!({})), Err(TrackError::Left)));
    assert!(matches!(ada.update(&json!({})), Err(TrackError::Left)));
    assert!(matches!(ada.update_with(|meta| meta), Err(TrackError::Left)));
    assert_eq!((ada.record().meta(), tracker.count("room")), ("{}", 1));
    drop(ada);
    assert_eq!(tracker.count("room"), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_tasks_and_subscriptions() {
    let pubsub = PubSub::local();
    let options = Options { pool_size: 3, ..Options::default() };
    let tracker = Tracker::start(&pubsub, "app", options, ()).unwrap();
    let guard = tracker.track("room", "ada", &json!({})).unwrap();
    assert_eq!(pubsub.topic_count(), 3);
    drop(tracker);
    tokio::task::yield_now().await;
    assert_eq!(pubsub.topic_count(), 3, "a guard keeps its tracker alive");
    drop(guard);
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(pubsub.topic_count(), 0);
}
