//! The interest of this node: the topics that have subscribers, and the subscriptions that the engine has. Pure.
//!
//! The topic table sets the interest, and the session sends the changes to the engine. Invariant: the pending changes
//! are exactly the difference of the two sets. So a topic that gains and loses its subscribers before the next send
//! costs nothing, and memory is bounded by the number of topics.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The ids of topic subscriptions are above this one; smaller ids are free for other subscriptions.
pub(crate) const FIRST_TOPIC_ID: u64 = 10;

/// A change of the interest, for the engine.
#[derive(Debug, PartialEq, Eq)]
pub enum InterestChange {
    /// Subscribes to a topic. The id is unique among the subscriptions of a connection.
    Subscribe(Arc<str>, u64),
    /// Ends the subscription with that id to a topic.
    Unsubscribe(Arc<str>, u64),
}

#[derive(Default)]
pub(crate) struct Interest {
    wanted: HashSet<Arc<str>>,
    /// The subscriptions of this connection, with their ids.
    subscribed: HashMap<Arc<str>, u64>,
    /// The topics that are in one of the two only.
    changed: BTreeSet<Arc<str>>,
    last_id: u64,
}

impl Interest {
    /// Adds a topic to the interest or removes it. Returns whether that adds a pending change.
    pub(crate) fn set(&mut self, topic: &str, wanted: bool) -> bool {
        let topic: Arc<str> = match self.wanted.get(topic).or_else(|| self.changed.get(topic)) {
            Some(known) => known.clone(),
            None => topic.into(),
        };
        if wanted {
            self.wanted.insert(topic.clone());
        } else {
            self.wanted.remove(&topic);
        }
        if self.subscribed.contains_key(&topic) == wanted {
            self.changed.remove(&topic);
            false
        } else {
            self.changed.insert(topic)
        }
    }

    /// Marks all wanted topics as pending, for a new connection.
    pub(crate) fn reset(&mut self) {
        self.subscribed = HashMap::new();
        self.changed = self.wanted.iter().cloned().collect();
        self.last_id = FIRST_TOPIC_ID;
    }

    /// Returns the next pending change, which then counts as sent.
    pub(crate) fn next(&mut self) -> Option<InterestChange> {
        let topic = self.changed.pop_first()?;
        if let Some(id) = self.subscribed.remove(&topic) {
            return Some(InterestChange::Unsubscribe(topic, id));
        }
        self.last_id += 1;
        self.subscribed.insert(topic.clone(), self.last_id);
        Some(InterestChange::Subscribe(topic, self.last_id))
    }

    /// Returns whether no change is pending.
    pub(crate) fn is_synchronized(&self) -> bool {
        self.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscribe(topic: &str, id: u64) -> Option<InterestChange> {
        Some(InterestChange::Subscribe(topic.into(), FIRST_TOPIC_ID + id))
    }

    #[test]
    fn a_new_connection_receives_the_whole_interest() {
        let mut interest = Interest::default();
        assert!(interest.set("a", true) && interest.set("b", true));
        interest.reset();
        assert_eq!([interest.next(), interest.next(), interest.next()], [subscribe("a", 1), subscribe("b", 2), None]);
        assert!(interest.set("a", false));
        interest.reset();
        assert_eq!([interest.next(), interest.next()], [subscribe("b", 1), None]);
        assert!(interest.is_synchronized());
    }

    #[test]
    fn a_topic_that_comes_and_goes_before_it_is_sent_costs_nothing() {
        let mut interest = Interest::default();
        interest.reset();
        assert!(interest.set("a", true));
        assert!(!interest.set("a", false));
        assert_eq!(interest.next(), None);
    }

    proptest! {
        #[test]
        fn the_engine_ends_up_with_the_interest(
            steps in prop::collection::vec((0..6u8, any::<bool>(), 0..5u8), 0..80),
        ) {
            let mut interest = Interest::default();
            let (mut wanted, mut known) = (BTreeSet::new(), HashMap::new());
            interest.reset();
            for (topic, want, step) in steps {
                let topic = topic.to_string();
                interest.set(&topic, want);
                if want { wanted.insert(topic); } else { wanted.remove(&topic); }
                if step == 0 {
                    interest.reset();
                    known.clear();
                }
                if step == 1 {
                    apply_changes(&mut interest, &mut known, 1);
                }
            }
            apply_changes(&mut interest, &mut known, usize::MAX);
            prop_assert_eq!(known.keys().cloned().collect::<BTreeSet<_>>(), wanted);
            let ids: BTreeSet<_> = known.values().collect();
            prop_assert_eq!(ids.len(), known.len());
        }
    }

    fn apply_changes(interest: &mut Interest, known: &mut HashMap<String, u64>, most: usize) {
        for _ in 0..most {
            match interest.next() {
                None => return,
                Some(InterestChange::Subscribe(topic, id)) => assert_eq!(known.insert(topic.to_string(), id), None),
                Some(InterestChange::Unsubscribe(topic, id)) => assert_eq!(known.remove(&*topic), Some(id)),
            }
        }
    }
}
