//! The laws of the lattice, and what pieces cut from a state promise.

use super::*;
use bennu_pubsub::NodeName;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn replica(node: &str) -> Replica {
    Replica::new(NodeName::new(node), 1, "")
}

fn meta(number: u64) -> Arc<RawValue> {
    RawValue::from_string(format!("{{\"n\":{number}}}")).unwrap().into()
}

const ALL: Room = Room { bytes: usize::MAX, departures: usize::MAX };

#[derive(Debug, Clone)]
enum Op {
    Join,
    Update(usize),
    Leave(usize),
    /// Cuts a piece from the place that the fraction chooses, as large as there is room.
    Extract(u8, usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Join),
        2 => any::<usize>().prop_map(Op::Update),
        3 => any::<usize>().prop_map(Op::Leave),
        3 => (any::<u8>(), 1..400usize, 1..5usize).prop_map(|(from, bytes, left)| Op::Extract(from, bytes, left)),
    ]
}

/// A state, all that ever left it, and ranges cut from it along the way.
struct World {
    state: State,
    departures: Vec<(u64, u64)>,
    ranges: Vec<Share>,
}

fn play(ops: &[Op], memory: usize) -> World {
    let mut world = World { state: State::new(replica("a"), memory), departures: Vec::new(), ranges: Vec::new() };
    for op in ops {
        let state = &mut world.state;
        let nth = |state: &State, nth: usize| {
            let live = state.own.presences.len();
            state.own.presences.keys().nth(nth % live.max(1)).copied()
        };
        match *op {
            Op::Join => {
                let clock = state.clock();
                state.join("room".into(), "user".into(), meta(clock));
            }
            Op::Update(which) => {
                if let Some(dot) = nth(state, which) {
                    let (old, new) = state.update(dot, meta(dot)).unwrap();
                    assert_eq!(new.previous(), Some(old.reference()));
                    world.departures.push((new.dot() + 1, dot));
                }
            }
            Op::Leave(which) => {
                if let Some(dot) = nth(state, which) {
                    state.leave(dot).unwrap();
                    world.departures.push((state.clock(), dot));
                }
            }
            Op::Extract(from, bytes, departures) => {
                let from = state.clock() * u64::from(from) / 255;
                let piece = state.extract(from, from, Room { bytes, departures });
                assert!(piece.until > piece.from || piece.until == state.clock(), "a piece goes on");
                assert!(piece.share.dots.ranges().len() <= departures + 1, "{departures} departures fit");
                if state.history.reaches(from) {
                    assert_eq!(piece.from, from);
                    assert_eq!(piece.since, piece.until, "a range is as fresh as its end");
                    world.ranges.push(piece.share);
                } else {
                    assert_eq!((piece.from, piece.since), (0, state.clock()), "else it starts over");
                }
            }
        }
    }
    world
}

fn merged(a: &Share, b: &Share) -> Share {
    let mut a = a.clone();
    a.merge(b.clone());
    a
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        ops in prop::collection::vec(op(), 0..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let mut world = play(&ops, 1000);
        world.ranges.extend([Share::default(), world.state.own.clone()]);
        let [a, b, c] = [0, 1, 2].map(|at: usize| &world.ranges[picks[at].index(world.ranges.len())]);
        prop_assert_eq!(merged(a, b), merged(b, a));
        prop_assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
        prop_assert_eq!(&merged(a, a), a);
        prop_assert_eq!(merged(&merged(a, b), b), merged(a, b));
    }

    #[test]
    fn any_ranges_in_any_order_are_closed_and_once_complete_they_are_the_state(
        ops in prop::collection::vec(op(), 0..80),
        memory in 1..20usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        last in any::<bool>(),
    ) {
        let world = play(&ops, memory);
        let mut known = Share::default();
        for pick in order {
            if world.ranges.is_empty() {
                break;
            }
            let before: BTreeSet<u64> = known.presences.keys().copied().collect();
            let changes = known.merge(world.ranges[pick.index(world.ranges.len())].clone());
            let mut replayed = before;
            changes.left.iter().for_each(|left| assert!(replayed.remove(&left.dot()), "who leaves was there"));
            changes.joined.iter().for_each(|joined| assert!(replayed.insert(joined.dot()), "who joins was not"));
            prop_assert_eq!(replayed, known.presences.keys().copied().collect::<BTreeSet<_>>());
            for (at, gone) in &world.departures {
                let gone_too = known.dots.contains(*gone) && !known.presences.contains_key(gone);
                prop_assert!(gone_too || !known.dots.contains(*at), "{} is known, and not that {} has gone", at, gone);
            }
        }
        if last {
            let complete = known.dots.complete_until();
            known.merge(world.state.extract(complete, complete, ALL).share);
            prop_assert_eq!(known.dots.complete_until(), world.state.clock());
        }
        if known.dots.complete_until() == world.state.clock() {
            prop_assert_eq!(&known, &world.state.own);
        }
    }

    #[test]
    fn pieces_cut_from_a_state_that_changes_meanwhile_give_the_state(
        before in prop::collection::vec(op(), 0..60),
        meanwhile in prop::collection::vec(prop::collection::vec(op(), 0..4), 0..20),
        known_until in any::<u8>(),
        memory in 1..20usize,
        bytes in 1..400usize,
        departures in 1..5usize,
    ) {
        let mut all = before.clone();
        // Somebody followed the first part, and was then cut off.
        let followed = before.len() * usize::from(known_until) / 255;
        let mut known = play(&before[..followed], memory).state.own;
        let (mut from, mut since) = (known.dots.complete_until(), known.dots.complete_until());
        let mut meanwhile = meanwhile.into_iter();
        for _ in 0..1000 {
            let state = play(&all, memory).state;
            let piece = state.extract(from, since, Room { bytes, departures });
            (from, since) = (piece.until, piece.since);
            known.merge(piece.share);
            if known.dots.complete_until() == state.clock() {
                prop_assert_eq!(&known, &state.own);
                if meanwhile.len() == 0 {
                    return Ok(());
                }
                (from, since) = (state.clock(), state.clock());
            }
            all.extend(meanwhile.next().into_iter().flatten());
        }
        prop_assert!(false, "it does not come to an end");
    }
}

#[test]
fn a_range_tells_only_what_changed() {
    let mut state = State::new(replica("a"), 100);
    let dots: Vec<u64> = (0..1000).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    state.leave(dots[10]);
    state.join("room".into(), "user".into(), meta(0));
    let piece = state.extract(1000, 1000, ALL);
    assert_eq!(piece.share.presences.len(), 1);
    assert_eq!(piece.share.dots.ranges(), [(11, 11), (1001, 1002)]);
}

#[test]
fn past_what_is_remembered_a_range_becomes_the_whole() {
    let mut state = State::new(replica("a"), 2);
    let dots: Vec<u64> = (0..10).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    dots[..2].iter().for_each(|dot| drop(state.leave(*dot)));
    assert_eq!(state.extract(10, 10, ALL).from, 10);
    state.leave(dots[2]);
    let whole = state.extract(10, 10, ALL);
    assert_eq!((whole.from, whole.until, whole.share.presences.len()), (0, 13, 7));
}

#[test]
fn a_replica_that_is_down_is_kept_and_does_not_count() {
    let mut there = State::new(replica("b"), 100);
    there.join("room".into(), "user".into(), meta(1));
    let mut here = State::new(replica("a"), 100);
    assert!(here.up(&replica("b")).is_empty());
    assert_eq!(here.merge(&replica("b"), there.extract(0, 0, ALL).share).joined.len(), 1);
    assert_eq!((here.down(&replica("b")).len(), here.down(&replica("b")).len()), (1, 0));
    there.join("room".into(), "user".into(), meta(2));
    assert_eq!(here.merge(&replica("b"), there.extract(1, 1, ALL).share), Changes::default());
    assert_eq!((here.up(&replica("b")).len(), here.up(&replica("b")).len()), (2, 0));
    assert_eq!((here.remove(&replica("b")).len(), here.complete_until(&replica("b"))), (2, 0));
}

#[test]
fn a_share_of_a_replica_that_is_not_known_changes_nothing() {
    let mut there = State::new(replica("b"), 100);
    there.join("room".into(), "user".into(), meta(1));
    let mut here = State::new(replica("a"), 100);
    assert_eq!(here.merge(&replica("b"), there.extract(0, 0, ALL).share), Changes::default());
    assert_eq!(here.complete_until(&replica("b")), 0);
}

#[test]
fn pieces_of_a_snapshot_bring_only_departures_that_are_younger_than_it() {
    let mut state = State::new(replica("a"), 3);
    let dots: Vec<u64> = (0..10).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    dots[..4].iter().for_each(|dot| drop(state.leave(*dot)));
    let piece = |state: &State, from, since| state.extract(from, since, Room { bytes: 1, departures: 9 });
    let first = piece(&state, 0, 0);
    assert_eq!((first.from, first.until, first.since), (0, 5, 14));
    state.leave(dots[4]);
    let second = piece(&state, first.until, first.since);
    assert_eq!(second.share.dots.ranges(), [(6, 6)]);
    let last = state.extract(second.until, second.since, ALL);
    assert_eq!(last.share.dots.ranges(), [(5, 5), (7, 15)]);
}
