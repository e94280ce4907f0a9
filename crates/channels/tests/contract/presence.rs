//! Presence: a tracked key is listed with its references, reported to the clients of all nodes, and removed with its
//! channel.

use crate::socket;
use crate::support::{Client, connect_to, endpoint, note, notes, rest, secret};
use bennu_channels::prelude::*;
use bennu_channels::pubsub::{InProcess, NodeName, PubSub};
use bennu_channels::tracker::PresenceSnapshot;
use bennu_channels::{Presence, PresenceDiff, PresenceError, PresenceHandler, PresenceMap};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Runs the presence operation that its client requests, and replies with the result.
struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_: &str, _: Payload, _: &mut Context<S, Self>) -> Joined<Self> {
        accept(Room)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
        let presence = ctx.presence();
        let key: String = payload.get("key")?.unwrap_or_default();
        let meta: serde_json::Value = payload.get("meta")?.unwrap_or_else(|| json!({}));
        let done = match event {
            "track" => presence.track(ctx, &key, &meta),
            "update" => presence.update(ctx, &key, &meta),
            "count up" => presence.update_with(ctx, &key, |meta| json!({ "n": meta["n"].as_i64().unwrap_or(0) + 1 })),
            "untrack" => presence.untrack(ctx, &key).map(|()| "gone".to_owned()),
            "list" => return reply_ok(presence.list(ctx.topic()).await),
            "get" => return reply_ok(json!(presence.get_by_key(ctx.topic(), &key).await)),
            "crash" => panic!("crashes on purpose"),
            _ => return unhandled(event),
        };
        match done {
            Ok(reference) => reply_ok(json!({ "phx_ref": reference })),
            Err(error) => reply_error(json!({ "reason": error.to_string() })),
        }
    }
}

socket!(Rooms: "room:*" => Room);

/// Returns the reply to a request, and the diffs that arrived before it.
async fn ask(
    client: &mut Client,
    event: &str,
    payload: serde_json::Value,
) -> (serde_json::Value, Vec<serde_json::Value>) {
    client.send(json!(["1", "9", "room:1", event, payload]));
    let mut diffs = Vec::new();
    loop {
        let message = client.next().await;
        if message[3] == "phx_reply" {
            return (message[4]["response"].clone(), diffs);
        }
        diffs.push(message);
    }
}

async fn track(client: &mut Client, key: &str) -> String {
    let (response, _) = ask(client, "track", json!({ "key": key })).await;
    response["phx_ref"].as_str().expect("tracked").to_owned()
}

fn diff(joins: serde_json::Value, leaves: serde_json::Value) -> serde_json::Value {
    json!([null, null, "room:1", "presence_diff", { "joins": joins, "leaves": leaves }])
}

#[tokio::test(start_paused = true)]
async fn a_tracked_key_is_listed_and_reaches_every_client_of_the_topic_before_the_reply() {
    let endpoint = endpoint();
    let (mut ada, mut watcher) = (connect_to::<Rooms>(&endpoint).await, connect_to::<Rooms>(&endpoint).await);
    ada.join("room:1", "1").await;
    watcher.join("room:1", "1").await;
    let (response, before) = ask(&mut ada, "track", json!({ "key": "ada", "meta": { "n": 1 } })).await;
    let entry = json!({ "ada": { "metas": [{ "n": 1, "phx_ref": response["phx_ref"] }] } });
    assert_eq!(before, [diff(entry.clone(), json!({}))]);
    watcher.expect([diff(entry.clone(), json!({}))]).await;
    assert_eq!(ask(&mut watcher, "list", json!({})).await.0, entry);
    assert_eq!(ask(&mut watcher, "get", json!({ "key": "ada" })).await.0, entry["ada"]);
    assert_eq!(ask(&mut watcher, "get", json!({ "key": "bob" })).await.0, json!(null));
}

#[tokio::test(start_paused = true)]
async fn an_update_is_a_leave_and_a_join_that_names_the_reference_before() {
    let endpoint = endpoint();
    let mut ada = connect_to::<Rooms>(&endpoint).await;
    ada.join("room:1", "1").await;
    let first = track(&mut ada, "ada").await;
    sleep(Duration::from_secs(1)).await;
    for n in 1..3 {
        let before = ask(&mut ada, "list", json!({})).await.0["ada"]["metas"][0].clone();
        let (response, diffs) = ask(&mut ada, "count up", json!({ "key": "ada" })).await;
        let after = json!({ "n": n, "phx_ref": response["phx_ref"], "phx_ref_prev": before["phx_ref"] });
        let told = diff(json!({ "ada": { "metas": [after] } }), json!({ "ada": { "metas": [before] } }));
        assert_eq!(diffs, [told]);
        sleep(Duration::from_secs(1)).await;
    }
    assert_ne!(ask(&mut ada, "list", json!({})).await.0["ada"]["metas"][0]["phx_ref_prev"], first.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_channel_s_presences_end_with_it_however_it_ends() {
    crate::support::quiet_panics();
    for how in ["leave", "crash", "hang up"] {
        let endpoint = endpoint();
        let (mut ada, mut watcher) = (connect_to::<Rooms>(&endpoint).await, connect_to::<Rooms>(&endpoint).await);
        ada.join("room:1", "1").await;
        let reference = track(&mut ada, "ada").await;
        watcher.join("room:1", "1").await;
        sleep(Duration::from_secs(1)).await;
        match how {
            "leave" => ada.send(json!(["1", "2", "room:1", "phx_leave", {}])),
            "crash" => ada.send(json!(["1", "2", "room:1", "crash", {}])),
            _ => ada.hang_up(),
        }
        let gone = json!({ "ada": { "metas": [{ "phx_ref": reference }] } });
        watcher.expect([diff(json!({}), gone)]).await;
        assert_eq!(endpoint.presence().count("room:1"), 0, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn tracking_a_key_twice_and_updating_an_untracked_one_are_errors_that_name_the_key() {
    let mut ada = connect_to::<Rooms>(&endpoint()).await;
    ada.join("room:1", "1").await;
    track(&mut ada, "ada").await;
    let mut refused = async |event: &str, key: &str, meta: serde_json::Value| {
        ask(&mut ada, event, json!({ "key": key, "meta": meta })).await.0["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused("track", "ada", json!({})).await,
        "this channel has tracked \"ada\" already: change it with `update`"
    );
    for event in ["update", "count up", "untrack"] {
        assert_eq!(refused(event, "bob", json!({})).await, "this channel has not tracked \"bob\": track it first");
    }
    assert_eq!(refused("track", "bob", json!([1])).await, "the meta is not a JSON object: [1]");
    assert_eq!(ask(&mut ada, "untrack", json!({ "key": "ada" })).await.0, json!({ "phx_ref": "gone" }));
    track(&mut ada, "ada").await;
}

#[tokio::test(start_paused = true)]
async fn a_meta_that_was_taken_from_a_list_gets_references_of_its_own() {
    let mut ada = connect_to::<Rooms>(&endpoint()).await;
    ada.join("room:1", "1").await;
    let meta = json!({ "phx_ref": "old", "phx_ref_prev": "older", "n": 1 });
    let reference = ask(&mut ada, "track", json!({ "key": "ada", "meta": meta })).await.0["phx_ref"].clone();
    let listed = ask(&mut ada, "list", json!({})).await.0;
    assert_eq!(listed, json!({ "ada": { "metas": [{ "n": 1, "phx_ref": reference }] } }));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_joins_is_broadcast_in_a_handful_of_diffs_that_add_up() {
    let endpoint = endpoint();
    let mut watcher = connect_to::<Rooms>(&endpoint).await;
    watcher.join("room:1", "1").await;
    let presence = endpoint.presence();
    let tracked: Vec<_> = (0..1000).map(|n| presence.track_at("room:1", &n.to_string(), &json!({})).unwrap()).collect();
    sleep(Duration::from_millis(200)).await;
    let (list, diffs) = ask(&mut watcher, "list", json!({})).await;
    assert!(diffs.len() <= 3, "{} diffs", diffs.len());
    let joined: usize = diffs.iter().map(|diff| diff[4]["joins"].as_object().unwrap().len()).sum();
    assert_eq!((joined, list.as_object().unwrap().len(), presence.key_count("room:1")), (1000, 1000, 1000));
    drop(tracked);
    assert_eq!(presence.count("room:1"), 0);
}

fn node(cluster: &InProcess, name: &'static str) -> Endpoint {
    Endpoint::builder(secret()).pubsub(PubSub::new(cluster.join(NodeName::new(name)))).build()
}

#[tokio::test(start_paused = true)]
async fn clients_of_another_node_get_diffs_within_a_period_and_at_once_when_the_node_leaves() {
    let cluster = InProcess::cluster();
    let (here, there) = (node(&cluster, "here"), node(&cluster, "there"));
    there.presence();
    let (mut ada, mut watcher) = (connect_to::<Rooms>(&here).await, connect_to::<Rooms>(&there).await);
    ada.join("room:1", "1").await;
    watcher.join("room:1", "1").await;
    let started = Instant::now();
    let reference = track(&mut ada, "ada").await;
    let entry = json!({ "ada": { "metas": [{ "phx_ref": reference }] } });
    watcher.expect([diff(entry.clone(), json!({}))]).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(ask(&mut watcher, "list", json!({})).await.0, entry);
    sleep(Duration::from_secs(5)).await;
    let leaving = Instant::now();
    here.leave().await;
    watcher.expect([diff(json!({}), entry)]).await;
    assert!(leaving.elapsed() < Duration::from_millis(100), "{:?}", leaving.elapsed());
}

/// Knows names, and keeps score.
struct Names;

impl PresenceHandler for Names {
    type State = usize;

    fn init(&self) -> usize {
        0
    }

    async fn fetch(&self, topic: &str, mut presences: PresenceMap) -> PresenceMap {
        note(format!("fetch {topic} {:?}", presences.keys().collect::<Vec<_>>()));
        assert!(presences.get("crash").is_none(), "crashes on purpose");
        for (key, entry) in presences.iter_mut() {
            entry.insert("name", key.to_uppercase());
        }
        presences
    }

    async fn handle_metas(&self, diff: &PresenceDiff, presences: &PresenceSnapshot, seen: &mut usize) {
        *seen += diff.joins.len();
        note(format!(
            "{} came, {} went, {} are there, {seen} were seen",
            diff.joins.len(),
            diff.leaves.len(),
            presences.len()
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_adds_to_many_keys_at_once_and_receives_every_change_with_its_state() {
    crate::support::quiet_panics();
    let endpoint = endpoint();
    let presence = Presence::start(&endpoint, "names", Default::default(), Names).unwrap();
    let mut watcher = connect_to::<Rooms>(&endpoint).await;
    watcher.join("room:1", "1").await;
    let ada = presence.track_at("room:1", "ada", &json!({})).unwrap();
    let bob = presence.track_at("room:1", "bob", &json!({})).unwrap();
    rest().await;
    let entry = |key: &str, tracked: &bennu_channels::tracker::PresenceGuard| json!({ "metas": [{ "phx_ref": tracked.reference().to_string() }], "name": key.to_uppercase() });
    watcher.expect([diff(json!({ "ada": entry("ada", &ada), "bob": entry("bob", &bob) }), json!({}))]).await;
    assert_eq!(
        notes(),
        [r#"fetch room:1 ["ada", "bob"]"#, "fetch room:1 []", "2 came, 0 went, 2 are there, 2 were seen"]
    );
    let listed = presence.list("room:1").await.into_payload();
    assert_eq!(listed.parse::<serde_json::Value>().unwrap()["ada"], entry("ada", &ada));
    assert_eq!(json!(presence.get_by_key("room:1", "bob").await), entry("bob", &bob));
    assert_eq!(notes(), [r#"fetch room:1 ["ada", "bob"]"#, r#"fetch room:1 ["bob"]"#]);

    // A fetch that panics only loses its own fields.
    let crash = presence.track_at("room:1", "crash", &json!({})).unwrap();
    sleep(Duration::from_millis(100)).await;
    let plain = json!({ "crash": { "metas": [{ "phx_ref": crash.reference().to_string() }] } });
    watcher.expect([diff(plain, json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn presences_by_another_name_are_others_and_a_channel_may_have_both() {
    let endpoint = endpoint();
    let other = Presence::start(&endpoint, "other", Default::default(), ()).unwrap();
    let tracked = other.track_at("room:1", "ada", &json!({})).unwrap();
    assert_eq!((other.count("room:1"), endpoint.presence().count("room:1")), (1, 0));
    drop(tracked);
    let error = Presence::track_at(&other, &"t".repeat(2000), "ada", &json!({})).unwrap_err();
    assert!(matches!(error, PresenceError::Track(_)), "{error}");
    assert_eq!(error.to_string(), "the topic has 2000 bytes, the limit is 1024");
}
