//! What a handler is told: who came and who went, topic by topic; and what is yet to be told.
//!
//! [`Pending`] belongs to a shard. A topic that was quiet is told at once; after that, its changes are collected and
//! told once an interval. What came and went again meanwhile is not told at all. So what waits is never more than the
//! difference between what was told and what is, however slow the handler.

use crate::presence::Presence;
use crate::replica::Reference;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Who came and went, in the topics of one shard.
///
/// All diffs of a shard, applied in order, give exactly what the tracker lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Sorted by topic; none is empty.
    pub topics: Vec<TopicDiff>,
}

/// Who came to a topic and who went. An update is both: the old presence left, and the new one, whose
/// [`Presence::previous`] says so, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDiff {
    /// The topic.
    pub topic: Arc<str>,
    /// Those who came, by node and then in the order of joining.
    pub joins: Vec<Presence>,
    /// Those who went, in the same order.
    pub leaves: Vec<Presence>,
}

/// See the module. Times are since the tracker's start.
pub(crate) struct Pending {
    interval: Duration,
    /// Topics with changes, and those whose last diff is less than an interval ago.
    topics: HashMap<Arc<str>, Changes>,
    /// Each of them, by when it is due.
    due: BTreeSet<(Duration, Arc<str>)>,
}

/// By reference: what is to be told.
type Changes = HashMap<Reference, Change>;

enum Change {
    Join(Presence),
    Leave(Presence),
}

impl Pending {
    pub(crate) fn new(interval: Duration) -> Self {
        Pending { interval, topics: HashMap::new(), due: BTreeSet::new() }
    }

    pub(crate) fn join(&mut self, now: Duration, presence: Presence) {
        let changes = self.changes(now, presence.topic());
        match changes.remove(&presence.reference()) {
            // It was to be told as gone, and is back: a node that was down.
            Some(Change::Leave(_)) => {}
            _ => drop(changes.insert(presence.reference(), Change::Join(presence))),
        }
    }

    pub(crate) fn leave(&mut self, now: Duration, presence: Presence) {
        let changes = self.changes(now, presence.topic());
        match changes.remove(&presence.reference()) {
            Some(Change::Join(_)) => {}
            _ => drop(changes.insert(presence.reference(), Change::Leave(presence))),
        }
    }

    fn changes(&mut self, now: Duration, topic: &Arc<str>) -> &mut Changes {
        if !self.topics.contains_key(topic) {
            self.due.insert((now, topic.clone()));
        }
        self.topics.entry(topic.clone()).or_default()
    }

    /// When [`Pending::take`] is to be called next.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// What is due of one topic.
    pub(crate) fn take_topic(&mut self, now: Duration, topic: &str) -> Option<TopicDiff> {
        let is_due = |(due, _): &&(Duration, Arc<str>)| *due <= now;
        let (due, topic) = self.due.iter().take_while(is_due).find(|(_, due)| &**due == topic)?.clone();
        self.due.remove(&(due, topic.clone()));
        let changes = self.topics.remove(&topic).unwrap_or_default();
        if changes.is_empty() {
            return None;
        }
        self.topics.insert(topic.clone(), Changes::new());
        self.due.insert((now + self.interval, topic.clone()));
        Some(TopicDiff::new(topic, changes))
    }

    /// Everything that is due.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Diff> {
        let mut topics = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, topic)) = self.due.pop_first() else { break };
            let changes = self.topics.remove(&topic).unwrap_or_default();
            if !changes.is_empty() {
                topics.push(TopicDiff::new(topic, changes));
            }
        }
        for topic in &topics {
            self.topics.insert(topic.topic.clone(), Changes::new());
            self.due.insert((now + self.interval, topic.topic.clone()));
        }
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        (!topics.is_empty()).then_some(Diff { topics })
    }
}

impl TopicDiff {
    fn new(topic: Arc<str>, changes: Changes) -> Self {
        let (mut joins, mut leaves) = (Vec::new(), Vec::new());
        for change in changes.into_values() {
            match change {
                Change::Join(presence) => joins.push(presence),
                Change::Leave(presence) => leaves.push(presence),
            }
        }
        let order = |a: &Presence, b: &Presence| (a.replica(), a.dot()).cmp(&(b.replica(), b.dot()));
        joins.sort_by(order);
        leaves.sort_by(order);
        TopicDiff { topic, joins, leaves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Replica;
    use bennu_pubsub::NodeName;
    use serde_json::value::RawValue;

    const INTERVAL: Duration = Duration::from_millis(50);

    fn presence(topic: &str, dot: u64) -> Presence {
        let meta = RawValue::from_string("{}".to_owned()).unwrap().into();
        Presence::new(&Replica::new(NodeName::new("a"), 1, ""), dot, 0, topic.into(), "user".into(), meta)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn dots(presences: &[Presence]) -> Vec<u64> {
        presences.iter().map(Presence::dot).collect()
    }

    #[test]
    fn a_quiet_topic_is_told_at_once_and_then_once_an_interval() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        assert_eq!(dots(&pending.take(ms(0)).unwrap().topics[0].joins), [1]);
        pending.join(ms(10), presence("a", 2));
        pending.join(ms(20), presence("a", 3));
        assert_eq!((pending.take(ms(49)), pending.due()), (None, Some(ms(50))));
        assert_eq!(dots(&pending.take(ms(50)).unwrap().topics[0].joins), [2, 3]);
        assert_eq!(pending.take(ms(100)), None);
        assert_eq!((pending.topics.len(), pending.due()), (0, None), "a quiet topic is forgotten");
        pending.join(ms(101), presence("a", 4));
        assert_eq!(pending.due(), Some(ms(101)));
    }

    #[test]
    fn one_topic_is_taken_when_it_is_due_and_the_others_stay() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.join(ms(0), presence("b", 2));
        assert_eq!(dots(&pending.take_topic(ms(0), "b").unwrap().joins), [2]);
        assert_eq!((pending.take_topic(ms(0), "b"), pending.take_topic(ms(0), "c")), (None, None));
        pending.join(ms(1), presence("b", 3));
        assert_eq!(pending.take_topic(ms(49), "b"), None, "it is not due again yet");
        assert_eq!(dots(&pending.take_topic(ms(50), "b").unwrap().joins), [3]);
        assert_eq!(pending.take(ms(50)).unwrap().topics.len(), 1, "the other topic");
    }

    #[test]
    fn other_topics_do_not_wait_for_a_busy_one() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.join(ms(10), presence("a", 2));
        pending.join(ms(10), presence("b", 3));
        let diff = pending.take(ms(10)).unwrap();
        assert_eq!((diff.topics.len(), &*diff.topics[0].topic), (1, "b"));
    }

    #[test]
    fn what_came_and_went_untold_is_not_told() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.leave(ms(1), presence("a", 1));
        assert_eq!(pending.take(ms(1)), None);
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn what_went_and_came_back_untold_is_not_told() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.leave(ms(1), presence("a", 1));
        pending.join(ms(2), presence("a", 1));
        assert_eq!(pending.take(ms(60)), None);
    }

    #[test]
    fn a_leave_of_what_was_told_is_told() {
        let mut pending = Pending::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.leave(ms(1), presence("a", 1));
        let diff = pending.take(ms(60)).unwrap();
        assert_eq!((dots(&diff.topics[0].joins), dots(&diff.topics[0].leaves)), (vec![], vec![1]));
    }
}
