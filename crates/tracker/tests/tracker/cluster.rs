//! Two nodes and three: what each knows of the others, and when.

use crate::support::{Cluster, PERIOD, Told, pass, start};
use bennu_tracker::{Options, Tracker};
use bennu_pubsub::NodeName;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn other_nodes_list_what_changed_when_the_period_has_ended() {
    let cluster = Cluster::default();
    let (told_a, told_b) = (Told::default(), Told::default());
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, told_a.clone()), start(&node_b, told_b.clone()));
    pass(Duration::from_millis(10)).await;
    assert_eq!((a.nodes(), b.nodes()), (vec![NodeName::new("b")], vec![NodeName::new("a")]));
    let ada = a.track("room", "ada", &json!({ "n": 1 })).unwrap();
    assert_eq!((a.count("room"), b.count("room")), (1, 0));
    pass(PERIOD).await;
    let there = b.get_by_key("room", "ada").remove(0);
    assert_eq!((there.reference(), there.meta(), there.node().as_str()), (ada.reference(), r#"{"n":1}"#, "a"));
    assert_eq!((told_a.take(), told_b.take()), (vec!["room +ada".to_owned()], vec!["room +ada".to_owned()]));
    ada.update(&json!({ "n": 2 })).unwrap();
    pass(PERIOD).await;
    assert_eq!(b.get_by_key("room", "ada")[0].meta(), r#"{"n":2}"#);
    drop(ada);
    pass(PERIOD).await;
    assert_eq!(b.count("room"), 0);
    assert_eq!(told_b.take(), ["room +ada -ada", "room -ada"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_cold_beside_20_000_presences_has_them_in_under_2_seconds() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let a = start(&node_a, ());
    let track = |n: u32| a.track("room", &format!("user {n}"), &json!({ "online_at": n })).unwrap();
    let _all: Vec<_> = (0..20_000).map(track).collect();
    pass(PERIOD).await;
    let began = Instant::now();
    let b = start(&node_b, ());
    while b.count("room") < 20_000 {
        pass(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{} are there", b.count("room"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_is_gone_at_once() {
    let cluster = Cluster::default();
    let told = Told::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, ()), start(&node_b, told.clone()));
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD).await;
    a.leave().await;
    pass(Duration::from_millis(60)).await;
    assert_eq!((b.count("room"), b.nodes().len()), (0, 0));
    assert_eq!(told.take(), ["room +ada", "room -ada"]);
    let again = start(&node_a, ());
    let _bob = again.track("room", "bob", &json!({})).unwrap();
    pass(PERIOD).await;
    assert_eq!(b.get_by_key("room", "bob").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tracker_that_is_dropped_is_gone_at_once_too() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, ()), start(&node_b, ()));
    let ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD).await;
    assert_eq!(b.count("room"), 1);
    drop((a, ada));
    pass(Duration::from_millis(1)).await;
    assert_eq!((b.count("room"), b.nodes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_falls_silent_is_hidden_after_30_seconds_and_shown_when_it_is_back() {
    let cluster = Cluster::default();
    let told = Told::default();
    let (node_a, node_b, node_c) = (cluster.node("a"), cluster.node("b"), cluster.node("c"));
    let (a, b, c) = (start(&node_a, ()), start(&node_b, told.clone()), start(&node_c, ()));
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    let _cyd = c.track("room", "cyd", &json!({})).unwrap();
    pass(PERIOD).await;
    cluster.cut_off("a");
    let began = Instant::now();
    while b.count("room") == 2 {
        pass(Duration::from_millis(100)).await;
    }
    let hidden = began.elapsed().as_secs();
    assert!((14..=32).contains(&hidden), "hidden after {hidden} s; the last heartbeat may be 15 s old");
    assert_eq!(b.nodes(), [NodeName::new("c")]);
    pass(Duration::from_secs(60)).await;
    assert_eq!((a.count("room"), c.count("room")), (1, 1), "each side lists who it can hear");
    cluster.mend();
    pass(Duration::from_secs(16)).await;
    assert_eq!((a.count("room"), b.count("room"), c.count("room")), (2, 2, 2));
    let told = told.take().join(", ");
    assert!(told.ends_with("room -ada, room +ada"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_silent_for_20_minutes_is_known_again_when_it_is_back() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, ()), start(&node_b, ()));
    let ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD).await;
    cluster.cut_off("a");
    pass(Duration::from_secs(25 * 60)).await;
    ada.update(&json!({ "patient": true })).unwrap();
    assert_eq!(b.count("room"), 0);
    cluster.mend();
    pass(Duration::from_secs(24)).await;
    assert_eq!(b.get_by_key("room", "ada")[0].meta(), r#"{"patient":true}"#);
}

#[tokio::test(start_paused = true)]
async fn topics_are_found_in_the_same_shard_on_every_node() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let options = Options { pool_size: 4, ..Options::default() };
    let a = Tracker::start(&node_a, "app", options.clone(), ()).unwrap();
    let b = Tracker::start(&node_b, "app", options, ()).unwrap();
    let other = start(&node_b, ());
    let _all: Vec<_> = (0..40).map(|n| a.track(&format!("room {n}"), "ada", &json!({})).unwrap()).collect();
    pass(PERIOD).await;
    assert!((0..40).all(|n| b.count(&format!("room {n}")) == 1));
    assert_eq!((b.topic_count(), other.topic_count()), (40, 0), "another number of shards is another cluster");
    assert_eq!((b.nodes().len(), b.name()), (1, "app"));
}

#[tokio::test(start_paused = true)]
async fn trackers_of_other_names_do_not_hear_each_other() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let a = start(&node_a, ());
    let b = Tracker::start(&node_b, "another", Options::default(), ()).unwrap();
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD * 10).await;
    assert_eq!((b.count("room"), b.nodes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn metrics_say_who_is_listed_and_what_was_sent() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _installed = metrics::set_default_local_recorder(&recorder);
    // Each value is what was added since the last snapshot.
    let read = || {
        let mut values = BTreeMap::<String, f64>::new();
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(gauge) => gauge.0,
                DebugValue::Histogram(_) => continue,
            };
            *values.entry(key.key().name().to_owned()).or_default() += value;
        }
        values
    };
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let a = start(&node_a, ());
    let ada = a.track("room", "ada", &json!({})).unwrap();
    let _bob = a.track("room", "bob", &json!({})).unwrap();
    pass(PERIOD).await;
    let b = start(&node_b, ());
    pass(PERIOD).await;
    drop(ada);
    pass(PERIOD).await;
    let values = read();
    assert_eq!(values["bennu.presence.presences"], 2.0, "one, on either node");
    for (name, at_least) in [("messages_sent", 6.0), ("messages_received", 4.0), ("diffs", 2.0)] {
        let value = values[&format!("bennu.presence.{name}")];
        assert!(value >= at_least, "{name} is {value}");
    }
    assert_eq!(values["bennu.presence.transfers_asked"], values["bennu.presence.transfers_answered"]);
    assert!(!values.contains_key("bennu.presence.garbage"));
    cluster.cut_off("a");
    pass(Duration::from_secs(40)).await;
    let values = read();
    let (presences, down) = (values["bennu.presence.presences"], values["bennu.presence.nodes_down"]);
    assert_eq!(
        (presences, down),
        (-1.0, 2.0),
        "the other node lists nobody any more, and each takes the other for down"
    );
    drop(b);
}
