//! What one node's tracker does when it is called.

use crate::support::{Told, start};
use bennu_tracker::{Options, OptionsError, Presence, TrackError, Tracker};
use bennu_pubsub::PubSub;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn keys(tracker: &Tracker, topic: &str) -> Vec<String> {
    tracker.list(topic).iter().map(|presence| presence.key().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_tracked_is_listed_at_once_until_the_guard_is_dropped() {
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
async fn an_update_has_a_reference_of_its_own_and_names_the_one_before() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Mood {
        mood: String,
    }
    let tracker = start(&PubSub::local(), ());
    let ada = tracker.track("room", "ada", &Mood { mood: "calm".into() }).unwrap();
    let first = ada.reference();
    assert_eq!((ada.presence().reference(), ada.presence().previous()), (first, None));
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
async fn an_update_that_another_one_overtakes_is_made_again_from_the_newer_meta() {
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
    assert_eq!(counter.presence().meta(), r#"{"n":11}"#);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_listed_does_not_change() {
    let tracker = start(&PubSub::local(), ());
    let ada = tracker.track("room", "ada", &json!({})).unwrap();
    let listed = tracker.list("room");
    ada.update(&json!({ "later": true })).unwrap();
    let _bob = tracker.track("room", "bob", &json!({})).unwrap();
    assert_eq!(listed.iter().map(Presence::meta).collect::<Vec<_>>(), ["{}"]);
    assert_eq!((listed.len(), listed.key_count(), listed.by_key("bob").count()), (1, 1, 0));
    assert_eq!(tracker.list("room").by_key("bob").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_tracked_is_an_error_that_says_why() {
    let tracker = start(&PubSub::local(), ());
    let error = |topic: &str, key: &str, meta: &Value| tracker.track(topic, key, meta).unwrap_err().to_string();
    assert_eq!(error("room", "ada", &json!([1, 2])), "the meta must be a JSON object, it is [1,2]");
    assert_eq!(error("room", "ada", &json!(null)), "the meta must be a JSON object, it is null");
    assert_eq!(error(&"x".repeat(1025), "ada", &json!({})), "the topic has 1025 bytes, the limit is 1024");
    assert_eq!(error("room", &"x".repeat(1025), &json!({})), "the key has 1025 bytes, the limit is 1024");
    let long = json!({ "x": "y".repeat(64 * 1024) });
    assert_eq!(error("room", "ada", &long), "the meta has 65544 bytes, the limit is 65536");
    let ada = tracker.track("room", "ada", &json!({ "n": 1 })).unwrap();
    assert!(matches!(ada.update(&7), Err(TrackError::NotAnObject(_))));
    assert!(matches!(ada.update_with(|_| json!("x")), Err(TrackError::NotAnObject(_))));
    assert_eq!((ada.presence().meta(), tracker.count("room")), (r#"{"n":1}"#, 1));
}

#[tokio::test(start_paused = true)]
async fn options_that_contradict_each_other_start_nothing() {
    let options = Options { pool_size: 0, ..Options::default() };
    let refused = Tracker::start(&PubSub::local(), "app", options, ());
    assert!(matches!(refused, Err(OptionsError::Zero { name: "pool_size" })));
}

#[tokio::test(start_paused = true)]
async fn after_leaving_there_is_something_to_read_and_nothing_to_change() {
    let told = Told::default();
    let tracker = start(&PubSub::local(), told.clone());
    let ada = tracker.track("room", "ada", &json!({})).unwrap();
    tracker.leave().await;
    tracker.leave().await;
    assert!(matches!(tracker.track("room", "bob", &json!({})), Err(TrackError::Left)));
    assert!(matches!(ada.update(&json!({})), Err(TrackError::Left)));
    assert!(matches!(ada.update_with(|meta| meta), Err(TrackError::Left)));
    assert_eq!((ada.presence().meta(), tracker.count("room")), ("{}", 1));
    drop(ada);
    assert_eq!(tracker.count("room"), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_handle_is_dropped_its_tasks_and_subscriptions_end() {
    let pubsub = PubSub::local();
    let options = Options { pool_size: 3, ..Options::default() };
    let tracker = Tracker::start(&pubsub, "app", options, ()).unwrap();
    let guard = tracker.track("room", "ada", &json!({})).unwrap();
    assert_eq!(pubsub.topic_count(), 3);
    drop(tracker);
    tokio::task::yield_now().await;
    assert_eq!(pubsub.topic_count(), 3, "a guard keeps its tracker");
    drop(guard);
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(pubsub.topic_count(), 0);
}
