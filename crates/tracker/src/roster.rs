//! The presences of one topic, in order, such that a reader's copy costs nothing.
//!
//! A sorted list in chunks behind shared pointers. Cloning shares all of it; a change afterwards copies the list of
//! chunks once and then each chunk that it touches, so writers never wait for a reader that iterates, and never change
//! what it sees.
//!
//! Owned by the [`crate::view`]. The order is that of [`Presence::order`]. Invariants: no chunk is empty or larger than
//! [`CHUNK`], so finding a place is two binary searches; `keys` is how many different keys there are.

use crate::presence::Presence;
use std::cmp::Ordering;
use std::sync::Arc;

/// Presences in a chunk. A change copies at most one chunk and, when a reader holds the roster, one pointer for each
/// other; 64 keeps both small up to hundreds of thousands of presences.
const CHUNK: usize = 64;

type Chunk = Arc<Vec<Presence>>;

#[derive(Clone, Default)]
pub(crate) struct Roster {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
    keys: usize,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Adds a presence that is not in it.
    pub(crate) fn insert(&mut self, presence: Presence) {
        let (at, within) = self.place(|other| other.order(&presence));
        if !self.has_neighbour(at, within, &presence) {
            self.keys += 1;
        }
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        // Behind the last chunk: appended to it.
        let (at, within) = match chunks.get(at) {
            Some(_) => (at, within),
            None if chunks.is_empty() => {
                chunks.push(Arc::new(vec![presence]));
                return;
            }
            None => (at - 1, chunks[at - 1].len()),
        };
        let chunk = Arc::make_mut(&mut chunks[at]);
        chunk.insert(within, presence);
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            chunks.insert(at + 1, Arc::new(upper));
        }
    }

    /// Takes a presence out, when it is in it.
    pub(crate) fn remove(&mut self, presence: &Presence) {
        let (at, within) = self.place(|other| other.order(presence));
        if self.get(at, within).is_none_or(|found| found != presence) {
            return;
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[at]);
        chunk.remove(within);
        self.len -= 1;
        let (rest, next) = (chunk.len(), chunks.get(at + 1).map(|next| next.len()));
        if rest == 0 {
            chunks.remove(at);
        } else if next.is_some_and(|next| rest + next <= CHUNK / 2) {
            let next = chunks.remove(at + 1);
            Arc::make_mut(&mut chunks[at]).extend(next.iter().cloned());
        }
        let (at, within) = self.place(|other| other.order(presence));
        if !self.has_neighbour(at, within, presence) {
            self.keys -= 1;
        }
    }

    /// Those with this key, in order.
    pub(crate) fn by_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Presence> + use<'a> {
        let at_least = |other: &Presence| if **other.key() < *key { Ordering::Less } else { Ordering::Greater };
        let (at, within) = self.place(at_least);
        self.chunks[at..].iter().flat_map(|chunk| chunk.iter()).skip(within).take_while(move |one| **one.key() == *key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Presence> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The first place whose presence is not less: chunk, and place within it. Behind the end, a chunk that is not
    /// there.
    fn place(&self, order: impl Fn(&Presence) -> Ordering) -> (usize, usize) {
        let less = |presence: &Presence| order(presence) == Ordering::Less;
        let at = self.chunks.partition_point(|chunk| chunk.last().is_some_and(less));
        (at, self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(less)))
    }

    fn get(&self, at: usize, within: usize) -> Option<&Presence> {
        self.chunks.get(at)?.get(within)
    }

    /// Whether another presence with its key is on either side of a place.
    fn has_neighbour(&self, at: usize, within: usize, presence: &Presence) -> bool {
        let before = match within {
            0 => at.checked_sub(1).and_then(|at| self.chunks[at].last()),
            _ => self.get(at, within - 1),
        };
        [before, self.get(at, within)].into_iter().flatten().any(|other| other.key() == presence.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Replica;
    use bennu_pubsub::NodeName;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use std::collections::{BTreeMap, BTreeSet};

    fn presence(key: u8, dot: u64) -> Presence {
        let replica = Replica::new(NodeName::new(["a", "b"][dot as usize % 2]), 1, "");
        let meta = RawValue::from_string("{}".to_owned()).unwrap().into();
        Presence::new(&replica, dot, 0, "room".into(), format!("user {key}").into(), meta)
    }

    fn dots<'a>(presences: impl Iterator<Item = &'a Presence>) -> Vec<u64> {
        presences.map(Presence::dot).collect()
    }

    #[derive(Debug, Clone)]
    enum Op {
        Insert(u8),
        Remove(usize),
        Clone,
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_sorted_set_that_counts_its_keys_and_a_copy_never_changes(
            ops in prop::collection::vec(
                prop_oneof![
                    5 => (0..12u8).prop_map(Op::Insert),
                    4 => any::<usize>().prop_map(Op::Remove),
                    1 => Just(Op::Clone),
                ],
                0..900,
            ),
        ) {
            let (mut roster, mut model) = (Roster::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (dot, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert(key) => {
                        let new = presence(key, dot as u64 + 1);
                        roster.insert(new.clone());
                        model.insert((new.key().clone(), new.node().clone(), new.dot()), new);
                    }
                    Op::Remove(nth) => {
                        let Some(id) = model.keys().nth(nth % model.len().max(1)).cloned() else { continue };
                        let gone = model.remove(&id).unwrap();
                        roster.remove(&gone);
                        roster.remove(&gone);
                    }
                    Op::Clone => copies.push((roster.clone(), dots(model.values()))),
                }
                prop_assert_eq!(roster.len(), model.len());
            }
            prop_assert_eq!(dots(roster.iter()), dots(model.values()));
            prop_assert!(roster.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            let keys: BTreeSet<_> = model.keys().map(|(key, ..)| key.clone()).collect();
            prop_assert_eq!(roster.keys(), keys.len());
            for key in keys.iter().map(|key| &**key).chain(["nobody", "zoe"]) {
                let expected = model.values().filter(|presence| **presence.key() == *key);
                prop_assert_eq!(dots(roster.by_key(key)), dots(expected));
            }
            for (copy, expected) in copies {
                prop_assert_eq!(dots(copy.iter()), expected);
            }
        }
    }

    #[test]
    fn many_departures_leave_no_trail_of_small_chunks() {
        let mut roster = Roster::default();
        let all: Vec<_> = (1..=10_000).map(|dot| presence((dot % 250) as u8, dot)).collect();
        all.iter().for_each(|one| roster.insert(one.clone()));
        all.iter().filter(|one| one.dot() % 16 != 0).for_each(|one| roster.remove(one));
        assert_eq!(roster.len(), 625);
        assert!(roster.chunks.len() < 80, "{} chunks", roster.chunks.len());
    }
}
