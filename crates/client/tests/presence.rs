//! Presence: cases of phoenix.js's behaviour, property tests, and a channel that acts as a server with presences.

use axum::Router;
use bennu::prelude::*;
use bennu_client::presence::{ChannelPresence, Entry, PresenceChange, PresenceState, sync_diff, sync_state};
use bennu_client::{ChannelEvent, ChannelMessage, Client};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn presences(value: Value) -> PresenceState {
    serde_json::from_value(value).unwrap()
}

fn diff(joins: Value, leaves: Value) -> PresenceChange {
    PresenceChange { joins: presences(joins), leaves: presences(leaves) }
}

fn meta(reference: &str) -> Value {
    json!({ "phx_ref": reference })
}

fn refs(entry: &Entry) -> Vec<&str> {
    entry.metas.iter().filter_map(|meta| meta["phx_ref"].as_str()).collect()
}

/// Syncs the state and returns the listener's calls as text.
fn sync(state: &mut PresenceState, new: Value) -> Vec<String> {
    let calls = std::cell::RefCell::new(Vec::new());
    let mut listener = (
        |key: &str, current: Option<&Entry>, newly: &Entry| {
            calls.borrow_mut().push(format!("{key} joined {:?} beside {:?}", refs(newly), current.map(refs)));
        },
        |key: &str, current: &Entry, left: &Entry| {
            calls.borrow_mut().push(format!("{key} left {:?}, stays {:?}", refs(left), refs(current)));
        },
    );
    sync_state(state, presences(new), &mut listener);
    calls.into_inner()
}

#[test]
fn a_new_state_is_reported_as_its_changes() {
    let mut state = PresenceState::new();
    let first = json!({ "u1": { "metas": [meta("1")] }, "u2": { "metas": [meta("2")] } });
    assert_eq!(sync(&mut state, first.clone()), [r#"u1 joined ["1"] beside None"#, r#"u2 joined ["2"] beside None"#]);
    assert_eq!(sync(&mut state, first), [""; 0]);
    let second = json!({ "u1": { "metas": [meta("1"), meta("1.2")] }, "u3": { "metas": [meta("3")] } });
    let calls =
        [r#"u1 joined ["1.2"] beside Some(["1"])"#, r#"u3 joined ["3"] beside None"#, r#"u2 left ["2"], stays []"#];
    assert_eq!(sync(&mut state, second.clone()), calls);
    assert_eq!(state, presences(second));
}

#[test]
fn a_meta_that_was_replaced_joins_and_leaves() {
    let mut state = presences(json!({ "u1": { "metas": [meta("1")] } }));
    let calls = [r#"u1 joined ["2"] beside Some(["1"])"#, r#"u1 left ["1"], stays ["2"]"#];
    assert_eq!(sync(&mut state, json!({ "u1": { "metas": [meta("2")] } })), calls);
    assert_eq!(refs(&state["u1"]), ["2"]);
}

#[test]
fn a_diff_appends_metas_and_removes_keys_without_metas() {
    let mut state = presences(json!({ "u1": { "metas": [meta("1")] } }));
    sync_diff(&mut state, diff(json!({ "u1": { "metas": [meta("2")] } }), json!({})), &mut ());
    assert_eq!(refs(&state["u1"]), ["1", "2"]);
    // A meta with a known ref replaces the earlier one and is appended.
    let again = json!({ "u1": { "metas": [{ "phx_ref": "1", "away": true }] } });
    sync_diff(&mut state, diff(again, json!({})), &mut ());
    assert_eq!((refs(&state["u1"]), &state["u1"].metas[1]["away"]), (vec!["2", "1"], &json!(true)));
    let leaves = json!({ "u1": { "metas": [meta("1"), meta("2")] }, "nobody": { "metas": [meta("9")] } });
    sync_diff(&mut state, diff(json!({}), leaves), &mut ());
    assert!(state.is_empty());
}

#[test]
fn data_that_the_server_adds_beside_the_metas_is_kept() {
    let mut state = PresenceState::new();
    sync_state(&mut state, presences(json!({ "u1": { "metas": [meta("1")], "user": { "name": "Ann" } } })), &mut ());
    assert_eq!(state["u1"].rest["user"]["name"], "Ann");
}

fn message(event: &str, payload: Value, join: u32) -> ChannelMessage {
    ChannelMessage { event: event.to_owned(), payload: payload.into_payload(), join }
}

#[test]
fn diffs_wait_for_their_state_and_those_of_an_earlier_join_are_dropped() {
    let mut presence = ChannelPresence::new();
    let joins = |key: &str| json!({ "joins": { key: { "metas": [meta(key)] } }, "leaves": {} });
    assert!(!presence.handle(&message("presence_diff", joins("early"), 1)));
    assert!(presence.handle(&message("presence_state", json!({ "a": { "metas": [meta("a")] } }), 1)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["a", "early"]);
    assert!(presence.handle(&message("presence_diff", joins("b"), 1)));
    // After a rejoin the old state stays visible until the new one arrives.
    assert!(!presence.handle(&message("presence_diff", joins("late"), 2)));
    assert!(!presence.handle(&message("presence_diff", joins("later"), 3)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["a", "b", "early"]);
    assert!(presence.handle(&message("presence_state", json!({ "c": { "metas": [meta("c")] } }), 3)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["c", "later"]);
}

#[test]
fn messages_that_are_not_presence_change_nothing() {
    let mut presence = ChannelPresence::new();
    let unreadable = [json!([]), json!({ "a": 1 }), json!({ "a": { "metas": {} } })];
    for payload in unreadable {
        assert!(!presence.handle(&message("presence_state", payload, 1)));
    }
    assert!(!presence.handle(&message("said", json!({}), 1)));
    // A meta without a ref cannot be identified; it stays until its key is removed.
    assert!(presence.handle(&message("presence_state", json!({ "a": { "metas": [7, {}] } }), 1)));
    assert_eq!(presence.state()["a"].metas.len(), 2);
}

/// Metas by key and ref.
type Metas = BTreeMap<String, BTreeMap<String, u8>>;

fn all_metas() -> impl Strategy<Value = Metas> {
    let metas = prop::collection::btree_map("[a-d]", Just(0u8), 1..4);
    prop::collection::btree_map("[u-z]", metas, 0..5).prop_map(|all| {
        // A ref belongs to one key only.
        let own = |key: &str, metas: BTreeMap<String, u8>| {
            metas.into_iter().map(|(reference, value)| (format!("{key}{reference}"), value)).collect()
        };
        all.into_iter().map(|(key, metas)| (key.clone(), own(&key, metas))).collect()
    })
}

fn as_state(all: &Metas) -> PresenceState {
    let entry = |metas: &BTreeMap<String, u8>| Entry {
        metas: metas.keys().map(|reference| meta(reference)).collect(),
        rest: serde_json::Map::new(),
    };
    all.iter().map(|(key, metas)| (key.clone(), entry(metas))).collect()
}

fn without(all: &Metas, other: &Metas) -> Metas {
    let left = |key: &String, metas: &BTreeMap<String, u8>| {
        let known = other.get(key);
        let gone = metas.iter().filter(|(reference, _)| !known.is_some_and(|known| known.contains_key(*reference)));
        gone.map(|(reference, value)| (reference.clone(), *value)).collect::<BTreeMap<_, _>>()
    };
    let rest = all.iter().map(|(key, metas)| (key.clone(), left(key, metas)));
    rest.filter(|(_, metas)| !metas.is_empty()).collect()
}

/// Returns the sorted refs of each key.
fn content(state: &PresenceState) -> BTreeMap<&str, Vec<&str>> {
    let sorted = |entry| {
        let mut refs = refs(entry);
        refs.sort_unstable();
        refs
    };
    state.iter().map(|(key, entry)| (key.as_str(), sorted(entry))).collect()
}

proptest! {
    #[test]
    fn states_and_diffs_lead_to_the_same_state(states in prop::collection::vec(all_metas(), 1..6)) {
        let (mut by_state, mut by_diff) = (PresenceState::new(), PresenceState::new());
        let mut before = Metas::new();
        for metas in states {
            let (joins, leaves) = (without(&metas, &before), without(&before, &metas));
            let diff = PresenceChange { joins: as_state(&joins), leaves: as_state(&leaves) };
            sync_diff(&mut by_diff, diff, &mut ());
            sync_state(&mut by_state, as_state(&metas), &mut ());
            let expected = as_state(&metas);
            prop_assert_eq!(content(&by_state), content(&expected));
            prop_assert_eq!(content(&by_diff), content(&expected));
            before = metas;
        }
    }

    #[test]
    fn a_listener_can_rebuild_the_state_from_joins_and_leaves(states in prop::collection::vec(all_metas(), 1..6)) {
        let mut state = PresenceState::new();
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for metas in states {
            let known = std::cell::RefCell::new(&mut known);
            let mut listener = (
                |key: &str, _: Option<&Entry>, newly: &Entry| {
                    let mut known = known.borrow_mut();
                    known.entry(key.to_owned()).or_default().extend(refs(newly).into_iter().map(str::to_owned));
                },
                |key: &str, current: &Entry, left: &Entry| {
                    let mut known = known.borrow_mut();
                    let metas = known.get_mut(key).expect("joined before it left");
                    metas.retain(|reference| !refs(left).contains(&reference.as_str()));
                    assert_eq!(metas.is_empty(), current.metas.is_empty());
                    if metas.is_empty() {
                        known.remove(key);
                    }
                },
            );
            sync_state(&mut state, as_state(&metas), &mut listener);
            let mut known = known.into_inner().clone();
            known.values_mut().for_each(|refs| refs.sort());
            let known: BTreeMap<&str, Vec<&str>> =
                known.iter().map(|(key, refs)| (key.as_str(), refs.iter().map(String::as_str).collect())).collect();
            prop_assert_eq!(known, content(&state));
        }
    }
}

struct Open;

impl Socket for Open {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        Ok(Open)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Crowd>("crowd");
    }
}

/// Acts as a server with presences: broadcasts the diffs that clients send.
struct Crowd;

struct Arrived;

impl Channel<Open> for Crowd {
    async fn join(_: &str, _: Payload, ctx: &mut Context<Open, Self>) -> Joined<Self> {
        ctx.send_self(Arrived);
        accept(Crowd)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<Open, Self>) -> Handled {
        match event {
            "presence_diff" => ctx.broadcast("presence_diff", payload)?,
            _ => return unhandled(event),
        }
        noreply()
    }
}

impl HandleInfo<Open, Arrived> for Crowd {
    async fn handle_info(&mut self, _: Arrived, ctx: &mut Context<Open, Self>) -> Flow {
        ctx.push("presence_state", json!({ "ann": { "metas": [meta("1")] } }))?;
        noreply()
    }
}

#[tokio::test]
async fn a_channels_messages_update_the_presences_and_a_rejoin_starts_from_the_new_state() {
    let endpoint = bennu::Endpoint::new(bennu::token::Secret::new("a secret of at least twenty bytes").unwrap());
    let socket = bennu::socket::<Open>("/socket").check_origin(bennu::CheckOrigin::any());
    let app = Router::new().merge(socket.router(&endpoint).unwrap());
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let url = format!("ws://{}/socket", listener.local_addr().unwrap());
    tokio::spawn(bennu::serve(listener, app, &endpoint).into_future());
    let client = Client::connect(url).await.unwrap();
    let mut room = client.join("crowd", json!({})).await.unwrap();
    let mut presence = ChannelPresence::new();

    assert!(presence.handle(&room.next().await.unwrap()));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["ann"]);
    let bob = json!({ "joins": { "bob": { "metas": [meta("2")] } }, "leaves": {} });
    room.send("presence_diff", bob).unwrap();
    assert!(presence.handle(&room.next().await.unwrap()));
    assert_eq!(presence.list_by(|key, entry| format!("{key} {}", entry.metas.len())), ["ann 1", "bob 1"]);

    // The channel crashes and is joined again. The new state has no bob.
    room.send("crash", json!({})).unwrap();
    while let Some(event) = room.next_event().await {
        if let ChannelEvent::Message(message) = event {
            assert_eq!(message.join, 2);
            assert!(presence.handle(&message));
            break;
        }
    }
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["ann"]);
}
