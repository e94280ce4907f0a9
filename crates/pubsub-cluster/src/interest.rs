//! Which topics this node wants, and which of them the engine knows of. Pure.
//!
//! The table says what is wanted; the session asks what it has to tell the engine. Invariant: what is to be told is
//! exactly the difference of the two, so a topic that comes and goes in between costs nothing, and memory is bounded by
//! the topics.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Subscriptions of a connection that are no topic's have the ids below.
pub(crate) const FIRST_TOPIC_ID: u64 = 10;

/// One thing to tell the engine.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// A topic is wanted; the subscription's id is another one for each of a connection.
    Subscribe(Arc<str>, u64),
    /// A topic is not wanted any more; the id is that of its subscription.
    Unsubscribe(Arc<str>, u64),
}

#[derive(Default)]
pub(crate) struct Interest {
    wanted: HashSet<Arc<str>>,
    /// What this connection was told, with the subscription's id.
    subscribed: HashMap<Arc<str>, u64>,
    /// The topics that are in one of the two only.
    changed: BTreeSet<Arc<str>>,
    last_id: u64,
}

impl Interest {
    /// A topic is wanted from now on, or is not. Says whether there is something to tell.
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

    /// A new connection knows of nothing.
    pub(crate) fn forget_subscriptions(&mut self) {
        self.subscribed = HashMap::new();
        self.changed = self.wanted.iter().cloned().collect();
        self.last_id = FIRST_TOPIC_ID;
    }

    /// The next thing to tell, which counts as told.
    pub(crate) fn next(&mut self) -> Option<Change> {
        let topic = self.changed.pop_first()?;
        if let Some(id) = self.subscribed.remove(&topic) {
            return Some(Change::Unsubscribe(topic, id));
        }
        self.last_id += 1;
        self.subscribed.insert(topic.clone(), self.last_id);
        Some(Change::Subscribe(topic, self.last_id))
    }

    /// Whether the engine knows it all.
    pub(crate) fn is_told(&self) -> bool {
        self.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscribe(topic: &str, id: u64) -> Option<Change> {
        Some(Change::Subscribe(topic.into(), FIRST_TOPIC_ID + id))
    }

    #[test]
    fn a_new_connection_is_told_everything_that_is_wanted() {
        let mut interest = Interest::default();
        assert!(interest.set("a", true) && interest.set("b", true));
        interest.forget_subscriptions();
        assert_eq!([interest.next(), interest.next(), interest.next()], [subscribe("a", 1), subscribe("b", 2), None]);
        assert!(interest.set("a", false));
        interest.forget_subscriptions();
        assert_eq!([interest.next(), interest.next()], [subscribe("b", 1), None]);
        assert!(interest.is_told());
    }

    #[test]
    fn a_topic_that_comes_and_goes_before_it_is_told_costs_nothing() {
        let mut interest = Interest::default();
        interest.forget_subscriptions();
        assert!(interest.set("a", true));
        assert!(!interest.set("a", false));
        assert_eq!(interest.next(), None);
    }

    proptest! {
        #[test]
        fn the_engine_ends_up_with_what_is_wanted(steps in prop::collection::vec((0..6u8, any::<bool>(), 0..5u8), 0..80)) {
            let mut interest = Interest::default();
            let (mut wanted, mut known) = (BTreeSet::new(), HashMap::new());
            interest.forget_subscriptions();
            for (topic, want, step) in steps {
                let topic = topic.to_string();
                interest.set(&topic, want);
                if want { wanted.insert(topic); } else { wanted.remove(&topic); }
                if step == 0 {
                    interest.forget_subscriptions();
                    known.clear();
                }
                if step == 1 {
                    tell(&mut interest, &mut known, 1);
                }
            }
            tell(&mut interest, &mut known, usize::MAX);
            prop_assert_eq!(known.keys().cloned().collect::<BTreeSet<_>>(), wanted);
            let ids: BTreeSet<_> = known.values().collect();
            prop_assert_eq!(ids.len(), known.len());
        }
    }

    fn tell(interest: &mut Interest, known: &mut HashMap<String, u64>, most: usize) {
        for _ in 0..most {
            match interest.next() {
                None => return,
                Some(Change::Subscribe(topic, id)) => assert_eq!(known.insert(topic.to_string(), id), None),
                Some(Change::Unsubscribe(topic, id)) => assert_eq!(known.remove(&*topic), Some(id)),
            }
        }
    }
}
