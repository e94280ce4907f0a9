//! The presences of one topic, as a sorted list that is cloned in constant time.
//!
//! The [`View`](super::View) owns one list for each topic and clones it for readers. A list consists of chunks behind
//! shared pointers, copied on write: after a clone, a change copies the list of chunks once, and each chunk that it
//! modifies. A writer therefore never waits for a reader and never changes a reader's clone.
//!
//! Invariants: the order is that of [`PresenceRecord::list_order`]; no chunk is empty or larger than [`CHUNK`], so a
//! search is two binary searches; `key_count` is the number of different keys.

use crate::crdt::PresenceRecord;
use std::cmp::Ordering;
use std::sync::Arc;

/// The most presences in a chunk. A change copies at most one chunk and, while a reader holds a clone, one pointer for
/// each other chunk; 64 keeps both small up to hundreds of thousands of presences.
const CHUNK: usize = 64;

type Chunk = Arc<Vec<PresenceRecord>>;

#[derive(Clone, Default)]
pub(crate) struct TopicPresences {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
    key_count: usize,
}

impl TopicPresences {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn key_count(&self) -> usize {
        self.key_count
    }

    /// Adds a presence. The list must not contain it.
    pub(crate) fn insert(&mut self, presence: PresenceRecord) {
        let (at, within) = self.search(|other| other.list_order(&presence));
        if !self.is_key_beside(at, within, &presence) {
            self.key_count += 1;
        }
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        // A presence after the end is appended to the last chunk.
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

    /// Removes a presence, if the list contains it.
    pub(crate) fn remove(&mut self, presence: &PresenceRecord) {
        let (at, within) = self.search(|other| other.list_order(presence));
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
        let (at, within) = self.search(|other| other.list_order(presence));
        if !self.is_key_beside(at, within, presence) {
            self.key_count -= 1;
        }
    }

    /// Returns the presences with this key, in order.
    pub(crate) fn by_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a PresenceRecord> + use<'a> {
        let at_least = |other: &PresenceRecord| if **other.key() < *key { Ordering::Less } else { Ordering::Greater };
        let (at, within) = self.search(at_least);
        self.chunks[at..].iter().flat_map(|chunk| chunk.iter()).skip(within).take_while(move |one| **one.key() == *key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PresenceRecord> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Returns the position of the first presence that is not less: its chunk, and its index in the chunk. At the end
    /// of the list, the chunk does not exist.
    fn search(&self, order: impl Fn(&PresenceRecord) -> Ordering) -> (usize, usize) {
        let less = |presence: &PresenceRecord| order(presence) == Ordering::Less;
        let at = self.chunks.partition_point(|chunk| chunk.last().is_some_and(less));
        (at, self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(less)))
    }

    fn get(&self, at: usize, within: usize) -> Option<&PresenceRecord> {
        self.chunks.get(at)?.get(within)
    }

    /// Returns whether a presence with the same key is on either side of a position.
    fn is_key_beside(&self, at: usize, within: usize, presence: &PresenceRecord) -> bool {
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
    use crate::crdt::Replica;
    use bennu_pubsub::NodeName;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use std::collections::{BTreeMap, BTreeSet};

    fn presence(key: u8, dot: u64) -> PresenceRecord {
        let replica = Replica::new(NodeName::new(["a", "b"][dot as usize % 2]), 1, "");
        let meta = RawValue::from_string("{}".to_owned()).unwrap().into();
        PresenceRecord::new(&replica, dot, 0, "room".into(), format!("user {key}").into(), meta)
    }

    fn dots<'a>(presences: impl Iterator<Item = &'a PresenceRecord>) -> Vec<u64> {
        presences.map(PresenceRecord::dot).collect()
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
        fn it_is_a_sorted_set_with_a_key_count_and_its_clones_never_change(
            ops in prop::collection::vec(
                prop_oneof![
                    5 => (0..12u8).prop_map(Op::Insert),
                    4 => any::<usize>().prop_map(Op::Remove),
                    1 => Just(Op::Clone),
                ],
                0..900,
            ),
        ) {
            let (mut list, mut model) = (TopicPresences::default(), BTreeMap::new());
            let mut clones = Vec::new();
            for (dot, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert(key) => {
                        let new = presence(key, dot as u64 + 1);
                        list.insert(new.clone());
                        model.insert((new.key().clone(), new.node().clone(), new.dot()), new);
                    }
                    Op::Remove(nth) => {
                        let Some(id) = model.keys().nth(nth % model.len().max(1)).cloned() else { continue };
                        let gone = model.remove(&id).unwrap();
                        list.remove(&gone);
                        list.remove(&gone);
                    }
                    Op::Clone => clones.push((list.clone(), dots(model.values()))),
                }
                prop_assert_eq!(list.len(), model.len());
            }
            prop_assert_eq!(dots(list.iter()), dots(model.values()));
            prop_assert!(list.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            let keys: BTreeSet<_> = model.keys().map(|(key, ..)| key.clone()).collect();
            prop_assert_eq!(list.key_count(), keys.len());
            for key in keys.iter().map(|key| &**key).chain(["nobody", "zoe"]) {
                let expected = model.values().filter(|presence| **presence.key() == *key);
                prop_assert_eq!(dots(list.by_key(key)), dots(expected));
            }
            for (clone, expected) in clones {
                prop_assert_eq!(dots(clone.iter()), expected);
            }
        }
    }

    #[test]
    fn many_removals_merge_small_chunks() {
        let mut list = TopicPresences::default();
        let all: Vec<_> = (1..=10_000).map(|dot| presence((dot % 250) as u8, dot)).collect();
        all.iter().for_each(|one| list.insert(one.clone()));
        all.iter().filter(|one| one.dot() % 16 != 0).for_each(|one| list.remove(one));
        assert_eq!(list.len(), 625);
        assert!(list.chunks.len() < 80, "{} chunks", list.chunks.len());
    }
}
