//! Clusters of two and three nodes: when a node lists the presences of the others.

use crate::support::{Cluster, DiffLog, PERIOD, pass, start};
use bennu_pubsub::NodeName;
use bennu_tracker::{Options, Tracker};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn other_nodes_list_a_change_after_the_end_of_the_period() {
    let cluster = Cluster::default();
    let (log_a, log_b) = (DiffLog::default(), DiffLog::default());
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, log_a.clone()), start(&node_b, log_b.clone()));
    pass(Duration::from_millis(10)).await;
    assert_eq!((a.nodes(), b.nodes()), (vec![NodeName::new("b")], vec![NodeName::new("a")]));
    let ada = a.track("room", "ada", &json!({ "n": 1 })).unwrap();
    assert_eq!((a.count("room"), b.count("room")), (1, 0));
    pass(PERIOD).await;
    let listed = b.get_by_key("room", "ada").remove(0);
    assert_eq!((listed.reference(), listed.meta(), listed.node().as_str()), (ada.reference(), r#"{"n":1}"#, "a"));
    assert_eq!((log_a.take(), log_b.take()), (vec!["room +ada".to_owned()], vec!["room +ada".to_owned()]));
    ada.update(&json!({ "n": 2 })).unwrap();
    pass(PERIOD).await;
    assert_eq!(b.get_by_key("room", "ada")[0].meta(), r#"{"n":2}"#);
    drop(ada);
    pass(PERIOD).await;
    assert_eq!(b.count("room"), 0);
    assert_eq!(log_b.take(), ["room +ada -ada", "room -ada"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_node_has_20_000_presences_of_another_in_under_2_seconds() {
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
        assert!(began.elapsed() < Duration::from_secs(2), "{} presences are listed", b.count("room"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_presences_of_a_node_that_leaves_are_removed_at_once() {
    let cluster = Cluster::default();
    let log = DiffLog::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, ()), start(&node_b, log.clone()));
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD).await;
    a.leave().await;
    pass(Duration::from_millis(60)).await;
    assert_eq!((b.count("room"), b.nodes().len()), (0, 0));
    assert_eq!(log.take(), ["room +ada", "room -ada"]);
    let again = start(&node_a, ());
    let _bob = again.track("room", "bob", &json!({})).unwrap();
    pass(PERIOD).await;
    assert_eq!(b.get_by_key("room", "bob").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_tracker_removes_its_presences_at_once() {
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
async fn the_presences_of_a_silent_node_are_hidden_after_30_seconds_and_shown_on_its_return() {
    let cluster = Cluster::default();
    let log = DiffLog::default();
    let (node_a, node_b, node_c) = (cluster.node("a"), cluster.node("b"), cluster.node("c"));
    let (a, b, c) = (start(&node_a, ()), start(&node_b, log.clone()), start(&node_c, ()));
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    let _cyd = c.track("room", "cyd", &json!({})).unwrap();
    pass(PERIOD).await;
    cluster.isolate("a");
    let began = Instant::now();
    while b.count("room") == 2 {
        pass(Duration::from_millis(100)).await;
    }
    let hidden = began.elapsed().as_secs();
    assert!((14..=32).contains(&hidden), "hidden after {hidden} s; the last heartbeat may be 15 s old");
    assert_eq!(b.nodes(), [NodeName::new("c")]);
    pass(Duration::from_secs(60)).await;
    assert_eq!((a.count("room"), c.count("room")), (1, 1), "each side of the partition lists its own presences");
    cluster.reconnect();
    pass(Duration::from_secs(16)).await;
    assert_eq!((a.count("room"), b.count("room"), c.count("room")), (2, 2, 2));
    let log = log.take().join(", ");
    assert!(log.ends_with("room -ada, room +ada"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn the_presences_of_a_node_that_was_silent_for_20_minutes_are_listed_on_its_return() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let (a, b) = (start(&node_a, ()), start(&node_b, ()));
    let ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD).await;
    cluster.isolate("a");
    pass(Duration::from_secs(25 * 60)).await;
    ada.update(&json!({ "patient": true })).unwrap();
    assert_eq!(b.count("room"), 0);
    cluster.reconnect();
    pass(Duration::from_secs(24)).await;
    assert_eq!(b.get_by_key("room", "ada")[0].meta(), r#"{"patient":true}"#);
}

#[tokio::test(start_paused = true)]
async fn every_node_assigns_a_topic_to_the_same_shard() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let options = Options { pool_size: 4, ..Options::default() };
    let a = Tracker::start(&node_a, "app", options.clone(), ()).unwrap();
    let b = Tracker::start(&node_b, "app", options, ()).unwrap();
    let other = start(&node_b, ());
    let _all: Vec<_> = (0..40).map(|n| a.track(&format!("room {n}"), "ada", &json!({})).unwrap()).collect();
    pass(PERIOD).await;
    assert!((0..40).all(|n| b.count(&format!("room {n}")) == 1));
    assert_eq!(
        (b.topic_count(), other.topic_count()),
        (40, 0),
        "nodes with another number of shards do not see each other"
    );
    assert_eq!((b.nodes().len(), b.name()), (1, "app"));
}

#[tokio::test(start_paused = true)]
async fn trackers_with_different_names_do_not_see_each_other() {
    let cluster = Cluster::default();
    let (node_a, node_b) = (cluster.node("a"), cluster.node("b"));
    let a = start(&node_a, ());
    let b = Tracker::start(&node_b, "another", Options::default(), ()).unwrap();
    let _ada = a.track("room", "ada", &json!({})).unwrap();
    pass(PERIOD * 10).await;
    assert_eq!((b.count("room"), b.nodes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn metrics_count_listed_presences_and_sent_messages() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _installed = metrics::set_default_local_recorder(&recorder);
    // Each value is the increment since the previous snapshot.
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
    assert_eq!(values["bennu.presence.presences"], 2.0, "one presence, listed by two nodes");
    for (name, at_least) in [("messages_sent", 6.0), ("messages_received", 4.0), ("diffs", 2.0)] {
        let value = values[&format!("bennu.presence.{name}")];
        assert!(value >= at_least, "{name} is {value}");
    }
    assert_eq!(values["bennu.presence.transfers_asked"], values["bennu.presence.transfers_answered"]);
    assert!(!values.contains_key("bennu.presence.garbage"));
    cluster.isolate("a");
    pass(Duration::from_secs(40)).await;
    let values = read();
    let (presences, down) = (values["bennu.presence.presences"], values["bennu.presence.nodes_down"]);
    assert_eq!((presences, down), (-1.0, 2.0), "one node lists no presence any more, and each marks the other as down");
    drop(b);
}
