//! The wire format, messages of later versions, and invalid messages.

use super::*;
use crate::crdt::State;
use bennu_pubsub::NodeName;
use proptest::prelude::*;
use serde_json::{Value, json};

fn state() -> State {
    let mut state = State::new(Replica::new(NodeName::new("a"), 7, "x"), 100);
    let join = |state: &mut State, key: &str, meta: &str| {
        state.join("room".into(), key.into(), RawValue::from_string(meta.to_owned()).unwrap().into()).dot()
    };
    let left = join(&mut state, "ada", "{}");
    let old = join(&mut state, "bob", r#"{"n":1}"#);
    state.leave(left);
    state.update(old, RawValue::from_string(r#"{"n":2}"#.to_owned()).unwrap().into());
    state
}

fn delta() -> Message {
    let delta = state().delta(1, 1, DELTA_LIMIT);
    Message::new(&Replica::new(NodeName::new("a"), 7, "x"), MessageKind::Delta, 5).delta(0, delta)
}

fn read(json: &Value) -> Result<(), String> {
    let message: Message = serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())?;
    message.check().map_err(|invalid| invalid.to_string())
}

#[test]
fn a_delta_has_this_wire_format_and_is_unchanged_after_a_round_trip() {
    let json = serde_json::to_value(delta()).unwrap();
    let expected = json!({
        "v": 1, "node": "a", "incarnation": 7, "what": "delta", "clock": 5,
        "piece": {
            "nonce": 0, "from": 1, "until": 5, "since": 5, "dots": [[1, 5]],
            "topics": [{ "topic": "room", "presences": [{ "d": 4, "p": 2, "k": "bob", "m": { "n": 2 } }] }],
        },
    });
    assert_eq!(json, expected);
    let back: Message = serde_json::from_str(&json.to_string()).unwrap();
    back.check().unwrap();
    let replica = Replica::new(NodeName::new("a"), 7, "x");
    let (sent, received) = (state().delta(1, 1, DELTA_LIMIT), back.delta.unwrap().to_delta(&replica, |_| None));
    assert_eq!(received, sent);
    assert_eq!(received.store.presences[&4].meta(), r#"{"n":2}"#);
    assert_eq!(received.store.presences[&4].reference(), sent.store.presences[&4].reference());
}

#[test]
fn unknown_fields_and_kinds_of_a_later_version_are_accepted() {
    let mut json = serde_json::to_value(delta()).unwrap();
    json["v"] = json!(2);
    json["mood"] = json!({ "deep": [1, null] });
    json["piece"]["zip"] = json!("none");
    json["piece"]["topics"][0]["presences"][0]["x"] = json!(1);
    assert_eq!(read(&json), Ok(()));
    json["what"] = json!("sing");
    assert_eq!(read(&json), Ok(()), "a message of an unknown kind is valid, whatever its other fields");
}

#[test]
fn a_message_that_contradicts_itself_or_a_limit_is_invalid() {
    let invalid: &[(&str, Value)] = &[
        ("/node", json!("")),
        ("/node", json!("n".repeat(1025))),
        ("/clock", json!(u64::MAX)),
        ("/what", json!("heartbeat")),
        ("/what", json!("ask")),
        ("/piece", Value::Null),
        ("/piece/from", json!(6)),
        ("/piece/until", json!(u64::MAX)),
        ("/piece/since", json!(u64::MAX)),
        ("/piece/dots", json!([[0, 4]])),
        ("/piece/dots", json!([[4, 3]])),
        ("/piece/dots", json!([[1, 6]])),
        ("/piece/dots", json!([[1, 3]])),
        ("/piece/topics/0/topic", json!("t".repeat(1025))),
        ("/piece/topics/0/presences/0/k", json!("k".repeat(1025))),
        ("/piece/topics/0/presences/0/p", json!(4)),
        ("/piece/topics/0/presences/0/m", json!([1])),
        ("/piece/topics/0/presences/0/m", json!({ "x": "m".repeat(64 * 1024) })),
    ];
    assert_eq!(read(&serde_json::to_value(delta()).unwrap()), Ok(()));
    for (place, value) in invalid {
        let mut json = serde_json::to_value(delta()).unwrap();
        *json.pointer_mut(place).unwrap() = value.clone();
        assert!(read(&json).is_err(), "{place} = {value} was accepted");
    }
}

#[test]
fn a_full_delta_is_within_the_bound_whatever_its_keys_contain() {
    let mut state = State::new(Replica::new(NodeName::new("a"), 7, "x"), 100_000);
    let join = |state: &mut State, n: usize| {
        let meta = RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap().into();
        state.join("room".into(), format!("\u{1}\"{n}").repeat(20).into(), meta).dot()
    };
    let dots: Vec<u64> = (0..40_000).map(|n| join(&mut state, n)).collect();
    dots.iter().step_by(2).for_each(|dot| drop(state.leave(*dot)));
    for n in 0..20_000 {
        join(&mut state, n);
    }
    for (from, since) in [(0, 0), (40_000, 40_000), (50_000, 50_000)] {
        let delta = state.delta(from, since, DELTA_LIMIT);
        let replica = Replica::new(NodeName::new("a"), 7, "x");
        let message = Message::new(&replica, MessageKind::Response, 1).delta(1, delta);
        let bytes = serde_json::to_vec(&message).unwrap().len();
        assert!((100_000..600_000).contains(&bytes), "{bytes} bytes from {from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_combination_of_numbers_causes_a_panic(
        (from, until, since) in (0..9u64, 0..9u64, 0..9u64),
        dots in prop::collection::vec((0..9u64, 0..9u64), 0..4),
        (dot, previous) in (0..9u64, 0..9u64),
        what in prop::sample::select(vec!["hello", "delta", "ask", "answer", "goodbye", "sing"]),
    ) {
        let presences = json!([{ "d": dot, "p": previous, "k": "k", "m": {} }]);
        let topics = json!([{ "topic": "t", "presences": presences }]);
        let piece = json!({ "from": from, "until": until, "since": since, "dots": dots, "topics": topics });
        let json = json!({ "v": 1, "node": "a", "incarnation": 1, "what": what, "clock": 3, "piece": piece });
        let message: Message = serde_json::from_str(&json.to_string()).unwrap();
        if message.check().is_ok() {
            let delta = message.delta.unwrap().to_delta(&Replica::new(NodeName::new("a"), 1, ""), |_| None);
            prop_assert!(delta.store.presences.keys().all(|dot| delta.store.context.contains(*dot)));
            DotStore::default().merge(delta.store);
        }
    }
}
