//! Property tests of the lattice's laws and of the deltas that a state computes.

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

const UNLIMITED: DeltaLimit = DeltaLimit { bytes: usize::MAX, tombstones: usize::MAX };

#[derive(Debug, Clone)]
enum Op {
    Join,
    Update(usize),
    Leave(usize),
    /// Computes a delta from `clock * .0 / 255`, with the limit of .1 bytes and .2 tombstones.
    Delta(u8, usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Join),
        2 => any::<usize>().prop_map(Op::Update),
        3 => any::<usize>().prop_map(Op::Leave),
        3 => (any::<u8>(), 1..400usize, 1..5usize).prop_map(|(from, bytes, left)| Op::Delta(from, bytes, left)),
    ]
}

/// A state, all its removals, and the deltas computed along the way.
struct Run {
    state: State,
    removals: Vec<(u64, u64)>,
    deltas: Vec<DotStore>,
}

fn run(ops: &[Op], log_capacity: usize) -> Run {
    let mut run = Run { state: State::new(replica("a"), log_capacity), removals: Vec::new(), deltas: Vec::new() };
    for op in ops {
        let state = &mut run.state;
        let nth = |state: &State, nth: usize| {
            let live = state.local.presences.len();
            state.local.presences.keys().nth(nth % live.max(1)).copied()
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
                    run.removals.push((new.dot() + 1, dot));
                }
            }
            Op::Leave(which) => {
                if let Some(dot) = nth(state, which) {
                    state.leave(dot).unwrap();
                    run.removals.push((state.clock(), dot));
                }
            }
            Op::Delta(from, bytes, tombstones) => {
                let from = state.clock() * u64::from(from) / 255;
                let delta = state.delta(from, from, DeltaLimit { bytes, tombstones });
                assert!(delta.until > delta.from || delta.until == state.clock(), "a delta makes progress");
                assert!(
                    delta.store.context.ranges().len() <= tombstones + 1,
                    "a delta has at most {tombstones} tombstones"
                );
                if state.tombstones.reaches(from) {
                    assert_eq!(delta.from, from);
                    assert_eq!(delta.since, delta.until, "a delta is as recent as its end");
                    run.deltas.push(delta.store);
                } else {
                    assert_eq!((delta.from, delta.since), (0, state.clock()), "otherwise it begins anew");
                }
            }
        }
    }
    run
}

fn merged(a: &DotStore, b: &DotStore) -> DotStore {
    let mut a = a.clone();
    a.merge(b.clone());
    a
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_is_commutative_associative_and_idempotent(
        ops in prop::collection::vec(op(), 0..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let mut run = run(&ops, 1000);
        run.deltas.extend([DotStore::default(), run.state.local.clone()]);
        let [a, b, c] = [0, 1, 2].map(|at: usize| &run.deltas[picks[at].index(run.deltas.len())]);
        prop_assert_eq!(merged(a, b), merged(b, a));
        prop_assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
        prop_assert_eq!(&merged(a, a), a);
        prop_assert_eq!(merged(&merged(a, b), b), merged(a, b));
    }

    #[test]
    fn deltas_in_any_order_are_closed_and_together_give_the_state(
        ops in prop::collection::vec(op(), 0..80),
        log_capacity in 1..20usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        last in any::<bool>(),
    ) {
        let run = run(&ops, log_capacity);
        let mut copy = DotStore::default();
        for pick in order {
            if run.deltas.is_empty() {
                break;
            }
            let before: BTreeSet<u64> = copy.presences.keys().copied().collect();
            let changes = copy.merge(run.deltas[pick.index(run.deltas.len())].clone());
            let mut replayed = before;
            changes.left.iter().for_each(|left| assert!(replayed.remove(&left.dot()), "only a live one leaves"));
            changes.joined.iter().for_each(|joined| assert!(replayed.insert(joined.dot()), "only an absent one joins"));
            prop_assert_eq!(replayed, copy.presences.keys().copied().collect::<BTreeSet<_>>());
            for (removal, removed) in &run.removals {
                let is_removed = copy.context.contains(*removed) && !copy.presences.contains_key(removed);
                prop_assert!(
                    is_removed || !copy.context.contains(*removal),
                    "the context contains the removal {}, and its presence {} is not removed", removal, removed
                );
            }
        }
        if last {
            let complete = copy.context.complete_until();
            copy.merge(run.state.delta(complete, complete, UNLIMITED).store);
            prop_assert_eq!(copy.context.complete_until(), run.state.clock());
        }
        if copy.context.complete_until() == run.state.clock() {
            prop_assert_eq!(&copy, &run.state.local);
        }
    }

    #[test]
    fn a_transfer_from_a_state_that_changes_meanwhile_ends_with_that_state(
        before in prop::collection::vec(op(), 0..60),
        meanwhile in prop::collection::vec(prop::collection::vec(op(), 0..4), 0..20),
        known_until in any::<u8>(),
        log_capacity in 1..20usize,
        bytes in 1..400usize,
        tombstones in 1..5usize,
    ) {
        let mut all = before.clone();
        // The receiver has merged the first part of the changes and was then disconnected.
        let followed = before.len() * usize::from(known_until) / 255;
        let mut copy = run(&before[..followed], log_capacity).state.local;
        let (mut from, mut since) = (copy.context.complete_until(), copy.context.complete_until());
        let mut meanwhile = meanwhile.into_iter();
        for _ in 0..1000 {
            let state = run(&all, log_capacity).state;
            let delta = state.delta(from, since, DeltaLimit { bytes, tombstones });
            (from, since) = (delta.until, delta.since);
            copy.merge(delta.store);
            if copy.context.complete_until() == state.clock() {
                prop_assert_eq!(&copy, &state.local);
                if meanwhile.len() == 0 {
                    return Ok(());
                }
                (from, since) = (state.clock(), state.clock());
            }
            all.extend(meanwhile.next().into_iter().flatten());
        }
        prop_assert!(false, "the transfer does not end");
    }
}

#[test]
fn a_delta_contains_only_the_changes() {
    let mut state = State::new(replica("a"), 100);
    let dots: Vec<u64> = (0..1000).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    state.leave(dots[10]);
    state.join("room".into(), "user".into(), meta(0));
    let delta = state.delta(1000, 1000, UNLIMITED);
    assert_eq!(delta.store.presences.len(), 1);
    assert_eq!(delta.store.context.ranges(), [(11, 11), (1001, 1002)]);
}

#[test]
fn a_delta_from_before_the_tombstone_log_is_the_full_state() {
    let mut state = State::new(replica("a"), 2);
    let dots: Vec<u64> = (0..10).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    dots[..2].iter().for_each(|dot| drop(state.leave(*dot)));
    assert_eq!(state.delta(10, 10, UNLIMITED).from, 10);
    state.leave(dots[2]);
    let full = state.delta(10, 10, UNLIMITED);
    assert_eq!((full.from, full.until, full.store.presences.len()), (0, 13, 7));
}

#[test]
fn the_copy_of_a_replica_that_is_down_is_kept_and_not_listed() {
    let mut remote = State::new(replica("b"), 100);
    remote.join("room".into(), "user".into(), meta(1));
    let mut local = State::new(replica("a"), 100);
    assert!(local.up(&replica("b")).is_empty());
    assert_eq!(local.merge(&replica("b"), remote.delta(0, 0, UNLIMITED).store).joined.len(), 1);
    assert_eq!((local.down(&replica("b")).len(), local.down(&replica("b")).len()), (1, 0));
    remote.join("room".into(), "user".into(), meta(2));
    assert_eq!(local.merge(&replica("b"), remote.delta(1, 1, UNLIMITED).store), Changes::default());
    assert_eq!((local.up(&replica("b")).len(), local.up(&replica("b")).len()), (2, 0));
    assert_eq!((local.remove(&replica("b")).len(), local.complete_until(&replica("b"))), (2, 0));
}

#[test]
fn a_delta_of_an_unknown_replica_changes_nothing() {
    let mut remote = State::new(replica("b"), 100);
    remote.join("room".into(), "user".into(), meta(1));
    let mut local = State::new(replica("a"), 100);
    assert_eq!(local.merge(&replica("b"), remote.delta(0, 0, UNLIMITED).store), Changes::default());
    assert_eq!(local.complete_until(&replica("b")), 0);
}

#[test]
fn the_deltas_of_a_full_state_contain_only_removals_after_its_first_delta() {
    let mut state = State::new(replica("a"), 3);
    let dots: Vec<u64> = (0..10).map(|n| state.join("room".into(), "user".into(), meta(n)).dot()).collect();
    dots[..4].iter().for_each(|dot| drop(state.leave(*dot)));
    let delta = |state: &State, from, since| state.delta(from, since, DeltaLimit { bytes: 1, tombstones: 9 });
    let first = delta(&state, 0, 0);
    assert_eq!((first.from, first.until, first.since), (0, 5, 14));
    state.leave(dots[4]);
    let second = delta(&state, first.until, first.since);
    assert_eq!(second.store.context.ranges(), [(6, 6)]);
    let last = state.delta(second.until, second.since, UNLIMITED);
    assert_eq!(last.store.context.ranges(), [(5, 5), (7, 15)]);
}
