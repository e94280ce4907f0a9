//! What the wire looks like, what of a later version is read, and what is refused.

use super::*;
use crate::state::State;
use bennu_pubsub::NodeName;
use proptest::prelude::*;
use serde_json::{Value, json};

fn state() -> State {
    let mut state = State::new(Replica::new(NodeName::new("a"), 7, "x"), 100);
    let join = |state: &mut State, key: &str, meta: &str| {
        state.join("room".into(), key.into(), RawValue::from_string(meta.to_owned()).unwrap().into()).dot()
    };
    let gone = join(&mut state, "ada", "{}");
    let old = join(&mut state, "bob", r#"{"n":1}"#);
    state.leave(gone);
    state.update(old, RawValue::from_string(r#"{"n":2}"#.to_owned()).unwrap().into());
    state
}

fn delta() -> Message {
    let piece = state().extract(1, 1, ROOM);
    Message::new(&Replica::new(NodeName::new("a"), 7, "x"), What::Delta, 5).piece(0, piece)
}

fn read(json: &Value) -> Result<(), String> {
    let message: Message = serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())?;
    message.check().map_err(|garbage| garbage.to_string())
}

#[test]
fn a_delta_looks_like_this_on_the_wire_and_comes_back_as_it_was() {
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
    let (sent, read) = (state().extract(1, 1, ROOM), back.piece.unwrap().read(&replica, |_| None));
    assert_eq!(read, sent);
    assert_eq!(read.share.presences[&4].meta(), r#"{"n":2}"#);
    assert_eq!(read.share.presences[&4].reference(), sent.share.presences[&4].reference());
}

#[test]
fn a_message_of_a_later_version_is_read_as_far_as_it_is_understood() {
    let mut json = serde_json::to_value(delta()).unwrap();
    json["v"] = json!(2);
    json["mood"] = json!({ "deep": [1, null] });
    json["piece"]["zip"] = json!("none");
    json["piece"]["topics"][0]["presences"][0]["x"] = json!(1);
    assert_eq!(read(&json), Ok(()));
    json["what"] = json!("sing");
    assert_eq!(read(&json), Ok(()), "an unknown kind is a sign of life, whatever else it brings");
}

#[test]
fn what_contradicts_itself_is_garbage() {
    let broken: &[(&str, Value)] = &[
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
    for (place, value) in broken {
        let mut json = serde_json::to_value(delta()).unwrap();
        *json.pointer_mut(place).unwrap() = value.clone();
        assert!(read(&json).is_err(), "{place} = {value} was believed");
    }
}

#[test]
fn a_full_piece_keeps_the_bound_whatever_its_keys_contain() {
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
        let piece = state.extract(from, since, ROOM);
        let message = Message::new(&Replica::new(NodeName::new("a"), 7, "x"), What::Answer, 1).piece(1, piece);
        let bytes = serde_json::to_vec(&message).unwrap().len();
        assert!((100_000..600_000).contains(&bytes), "{bytes} bytes from {from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_numbers_make_reading_panic(
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
            let piece = message.piece.unwrap().read(&Replica::new(NodeName::new("a"), 1, ""), |_| None);
            prop_assert!(piece.share.presences.keys().all(|dot| piece.share.dots.contains(*dot)));
            let mut share = Share::default();
            share.merge(piece.share);
        }
    }
}
