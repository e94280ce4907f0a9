//! Presence: the vectors of phoenix.js's own behaviour, laws, and a channel that plays a server with presences.

use axum::Router;
use bennu::prelude::*;
use bennu_client::presence::{Diff, Entry, Presence, Presences, sync_diff, sync_state};
use bennu_client::{Client, Event, Message};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn presences(value: Value) -> Presences {
    serde_json::from_value(value).unwrap()
}

fn diff(joins: Value, leaves: Value) -> Diff {
    Diff { joins: presences(joins), leaves: presences(leaves) }
}

fn meta(reference: &str) -> Value {
    json!({ "phx_ref": reference })
}

fn refs(entry: &Entry) -> Vec<&str> {
    entry.metas.iter().filter_map(|meta| meta["phx_ref"].as_str()).collect()
}

/// Syncs, and returns in words what a watcher was told.
fn sync(state: &mut Presences, new: Value) -> Vec<String> {
    let words = std::cell::RefCell::new(Vec::new());
    let mut watch = (
        |key: &str, current: Option<&Entry>, newly: &Entry| {
            words.borrow_mut().push(format!("{key} joined {:?} beside {:?}", refs(newly), current.map(refs)));
        },
        |key: &str, current: &Entry, left: &Entry| {
            words.borrow_mut().push(format!("{key} left {:?}, stays {:?}", refs(left), refs(current)));
        },
    );
    sync_state(state, presences(new), &mut watch);
    words.into_inner()
}

#[test]
fn a_state_is_told_as_what_it_changes() {
    let mut state = Presences::new();
    let first = json!({ "u1": { "metas": [meta("1")] }, "u2": { "metas": [meta("2")] } });
    assert_eq!(sync(&mut state, first.clone()), [r#"u1 joined ["1"] beside None"#, r#"u2 joined ["2"] beside None"#]);
    assert_eq!(sync(&mut state, first), [""; 0]);
    let second = json!({ "u1": { "metas": [meta("1"), meta("1.2")] }, "u3": { "metas": [meta("3")] } });
    let words =
        [r#"u1 joined ["1.2"] beside Some(["1"])"#, r#"u3 joined ["3"] beside None"#, r#"u2 left ["2"], stays []"#];
    assert_eq!(sync(&mut state, second.clone()), words);
    assert_eq!(state, presences(second));
}

#[test]
fn a_meta_that_was_replaced_joins_and_leaves() {
    let mut state = presences(json!({ "u1": { "metas": [meta("1")] } }));
    let words = [r#"u1 joined ["2"] beside Some(["1"])"#, r#"u1 left ["1"], stays ["2"]"#];
    assert_eq!(sync(&mut state, json!({ "u1": { "metas": [meta("2")] } })), words);
    assert_eq!(refs(&state["u1"]), ["2"]);
}

#[test]
fn a_difference_adds_behind_what_was_there_and_drops_keys_without_metas() {
    let mut state = presences(json!({ "u1": { "metas": [meta("1")] } }));
    sync_diff(&mut state, diff(json!({ "u1": { "metas": [meta("2")] } }), json!({})), &mut ());
    assert_eq!(refs(&state["u1"]), ["1", "2"]);
    // A meta that comes again is not doubled, and is the newer one.
    let again = json!({ "u1": { "metas": [{ "phx_ref": "1", "away": true }] } });
    sync_diff(&mut state, diff(again, json!({})), &mut ());
    assert_eq!((refs(&state["u1"]), &state["u1"].metas[1]["away"]), (vec!["2", "1"], &json!(true)));
    let leaves = json!({ "u1": { "metas": [meta("1"), meta("2")] }, "nobody": { "metas": [meta("9")] } });
    sync_diff(&mut state, diff(json!({}), leaves), &mut ());
    assert!(state.is_empty());
}

#[test]
fn what_the_server_adds_beside_the_metas_is_kept() {
    let mut state = Presences::new();
    sync_state(&mut state, presences(json!({ "u1": { "metas": [meta("1")], "user": { "name": "Ann" } } })), &mut ());
    assert_eq!(state["u1"].rest["user"]["name"], "Ann");
}

fn message(event: &str, payload: Value, join: u32) -> Message {
    Message { event: event.to_owned(), payload: payload.into_payload(), join }
}

#[test]
fn differences_wait_for_their_state_and_those_of_an_earlier_join_are_forgotten() {
    let mut presence = Presence::new();
    let joins = |key: &str| json!({ "joins": { key: { "metas": [meta(key)] } }, "leaves": {} });
    assert!(!presence.handle(&message("presence_diff", joins("early"), 1)));
    assert!(presence.handle(&message("presence_state", json!({ "a": { "metas": [meta("a")] } }), 1)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["a", "early"]);
    assert!(presence.handle(&message("presence_diff", joins("b"), 1)));
    // Joined again: the old state stays visible until the new one comes.
    assert!(!presence.handle(&message("presence_diff", joins("late"), 2)));
    assert!(!presence.handle(&message("presence_diff", joins("later"), 3)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["a", "b", "early"]);
    assert!(presence.handle(&message("presence_state", json!({ "c": { "metas": [meta("c")] } }), 3)));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["c", "later"]);
}

#[test]
fn what_is_no_presence_changes_nothing() {
    let mut presence = Presence::new();
    let unreadable = [json!([]), json!({ "a": 1 }), json!({ "a": { "metas": {} } })];
    for payload in unreadable {
        assert!(!presence.handle(&message("presence_state", payload, 1)));
    }
    assert!(!presence.handle(&message("said", json!({}), 1)));
    // Without a ref a meta cannot be told from others; it stays until its key goes.
    assert!(presence.handle(&message("presence_state", json!({ "a": { "metas": [7, {}] } }), 1)));
    assert_eq!(presence.state()["a"].metas.len(), 2);
}

/// Presences by key and ref.
type World = BTreeMap<String, BTreeMap<String, u8>>;

fn world() -> impl Strategy<Value = World> {
    let metas = prop::collection::btree_map("[a-d]", Just(0u8), 1..4);
    prop::collection::btree_map("[u-z]", metas, 0..5).prop_map(|world| {
        // A ref is of one key only.
        let own = |key: &str, metas: BTreeMap<String, u8>| {
            metas.into_iter().map(|(reference, value)| (format!("{key}{reference}"), value)).collect()
        };
        world.into_iter().map(|(key, metas)| (key.clone(), own(&key, metas))).collect()
    })
}

fn as_state(world: &World) -> Presences {
    let entry = |metas: &BTreeMap<String, u8>| Entry {
        metas: metas.keys().map(|reference| meta(reference)).collect(),
        rest: serde_json::Map::new(),
    };
    world.iter().map(|(key, metas)| (key.clone(), entry(metas))).collect()
}

fn without(world: &World, other: &World) -> World {
    let left = |key: &String, metas: &BTreeMap<String, u8>| {
        let known = other.get(key);
        let gone = metas.iter().filter(|(reference, _)| !known.is_some_and(|known| known.contains_key(*reference)));
        gone.map(|(reference, value)| (reference.clone(), *value)).collect::<BTreeMap<_, _>>()
    };
    let all = world.iter().map(|(key, metas)| (key.clone(), left(key, metas)));
    all.filter(|(_, metas)| !metas.is_empty()).collect()
}

/// Independent of the order in which metas came.
fn content(state: &Presences) -> BTreeMap<&str, Vec<&str>> {
    let sorted = |entry| {
        let mut refs = refs(entry);
        refs.sort_unstable();
        refs
    };
    state.iter().map(|(key, entry)| (key.as_str(), sorted(entry))).collect()
}

proptest! {
    #[test]
    fn states_and_differences_lead_to_the_same_place(worlds in prop::collection::vec(world(), 1..6)) {
        let (mut by_state, mut by_diff) = (Presences::new(), Presences::new());
        let mut before = World::new();
        for world in worlds {
            let diff =
                Diff { joins: as_state(&without(&world, &before)), leaves: as_state(&without(&before, &world)) };
            sync_diff(&mut by_diff, diff, &mut ());
            sync_state(&mut by_state, as_state(&world), &mut ());
            let expected = as_state(&world);
            prop_assert_eq!(content(&by_state), content(&expected));
            prop_assert_eq!(content(&by_diff), content(&expected));
            before = world;
        }
    }

    #[test]
    fn whoever_is_told_of_joins_and_leaves_knows_who_is_there(worlds in prop::collection::vec(world(), 1..6)) {
        let mut state = Presences::new();
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for world in worlds {
            let known = std::cell::RefCell::new(&mut known);
            let mut watch = (
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
            sync_state(&mut state, as_state(&world), &mut watch);
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

/// Plays a server with presences: whatever it is sent comes back as an event.
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
async fn a_channels_messages_keep_the_presences_and_a_rejoin_begins_with_the_new_state() {
    let endpoint = bennu::Endpoint::new(bennu::token::Secret::new("a secret of at least twenty bytes").unwrap());
    let socket = bennu::socket::<Open>("/socket").check_origin(bennu::CheckOrigin::any());
    let app = Router::new().merge(socket.router(&endpoint).unwrap());
    let listener = bennu::bind(([127, 0, 0, 1], 0)).unwrap();
    let url = format!("ws://{}/socket", listener.local_addr().unwrap());
    tokio::spawn(bennu::serve(listener, app, &endpoint).into_future());
    let client = Client::connect(url).await.unwrap();
    let mut room = client.join("crowd", json!({})).await.unwrap();
    let mut presence = Presence::new();

    assert!(presence.handle(&room.next().await.unwrap()));
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["ann"]);
    let bob = json!({ "joins": { "bob": { "metas": [meta("2")] } }, "leaves": {} });
    room.send("presence_diff", bob).unwrap();
    assert!(presence.handle(&room.next().await.unwrap()));
    assert_eq!(presence.list_by(|key, entry| format!("{key} {}", entry.metas.len())), ["ann 1", "bob 1"]);

    // It crashes, and is joined again: bob is not in the new state.
    room.send("crash", json!({})).unwrap();
    while let Some(event) = room.next_event().await {
        if let Event::Message(message) = event {
            assert_eq!(message.join, 2);
            assert!(presence.handle(&message));
            break;
        }
    }
    assert_eq!(presence.keys().collect::<Vec<_>>(), ["ann"]);
}
