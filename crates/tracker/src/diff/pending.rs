//! The changes of a shard that its handler has not received yet.
//!
//! [`PendingDiffs`] belongs to a shard. The first change of a quiet topic is due at once; further changes are
//! collected, and due once an interval. A join and a leave of the same presence cancel out. The pending changes are
//! therefore never more than the difference between the delivered state and the current one, however slow the handler
//! is.

use super::{Diff, TopicDiff};
use crate::crdt::{PresenceRecord, Reference};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// All times are relative to the tracker's start.
pub(crate) struct PendingDiffs {
    interval: Duration,
    /// The topics with pending changes, and those whose last diff is less than an interval ago.
    topics: HashMap<Arc<str>, Changes>,
    /// The same topics, by the time at which they are due.
    due: BTreeSet<(Duration, Arc<str>)>,
}

/// The pending changes of one topic, by reference.
type Changes = HashMap<Reference, Change>;

enum Change {
    Join(PresenceRecord),
    Leave(PresenceRecord),
}

impl PendingDiffs {
    pub(crate) fn new(interval: Duration) -> Self {
        PendingDiffs { interval, topics: HashMap::new(), due: BTreeSet::new() }
    }

    pub(crate) fn join(&mut self, now: Duration, presence: PresenceRecord) {
        let changes = self.changes(now, presence.topic());
        match changes.remove(&presence.reference()) {
            // The node of a presence that left and joined again was down, and is up again.
            Some(Change::Leave(_)) => {}
            _ => drop(changes.insert(presence.reference(), Change::Join(presence))),
        }
    }

    pub(crate) fn leave(&mut self, now: Duration, presence: PresenceRecord) {
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

    /// Returns the time at which [`PendingDiffs::take`] must be called next; `None` when no topic has an entry.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes the diff of one topic, if it is due.
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

    /// Takes all diffs that are due.
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
        let order = |a: &PresenceRecord, b: &PresenceRecord| (a.replica(), a.dot()).cmp(&(b.replica(), b.dot()));
        joins.sort_by(order);
        leaves.sort_by(order);
        TopicDiff { topic, joins, leaves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crdt::Replica;
    use bennu_pubsub::NodeName;
    use serde_json::value::RawValue;

    const INTERVAL: Duration = Duration::from_millis(50);

    fn presence(topic: &str, dot: u64) -> PresenceRecord {
        let meta = RawValue::from_string("{}".to_owned()).unwrap().into();
        PresenceRecord::new(&Replica::new(NodeName::new("a"), 1, ""), dot, 0, topic.into(), "user".into(), meta)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn dots(presences: &[PresenceRecord]) -> Vec<u64> {
        presences.iter().map(PresenceRecord::dot).collect()
    }

    #[test]
    fn a_change_of_a_quiet_topic_is_due_at_once_and_further_changes_once_an_interval() {
        let mut pending = PendingDiffs::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        assert_eq!(dots(&pending.take(ms(0)).unwrap().topics[0].joins), [1]);
        pending.join(ms(10), presence("a", 2));
        pending.join(ms(20), presence("a", 3));
        assert_eq!((pending.take(ms(49)), pending.due()), (None, Some(ms(50))));
        assert_eq!(dots(&pending.take(ms(50)).unwrap().topics[0].joins), [2, 3]);
        assert_eq!(pending.take(ms(100)), None);
        assert_eq!((pending.topics.len(), pending.due()), (0, None), "a quiet topic has no entry");
        pending.join(ms(101), presence("a", 4));
        assert_eq!(pending.due(), Some(ms(101)));
    }

    #[test]
    fn taking_one_due_topic_leaves_the_others_pending() {
        let mut pending = PendingDiffs::new(INTERVAL);
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
    fn a_busy_topic_does_not_delay_the_others() {
        let mut pending = PendingDiffs::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.join(ms(10), presence("a", 2));
        pending.join(ms(10), presence("b", 3));
        let diff = pending.take(ms(10)).unwrap();
        assert_eq!((diff.topics.len(), &*diff.topics[0].topic), (1, "b"));
    }

    #[test]
    fn a_join_and_a_later_leave_cancel_out() {
        let mut pending = PendingDiffs::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.leave(ms(1), presence("a", 1));
        assert_eq!(pending.take(ms(1)), None);
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn a_leave_and_a_later_join_of_the_same_presence_cancel_out() {
        let mut pending = PendingDiffs::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.leave(ms(1), presence("a", 1));
        pending.join(ms(2), presence("a", 1));
        assert_eq!(pending.take(ms(60)), None);
    }

    #[test]
    fn a_leave_after_a_delivered_join_is_delivered() {
        let mut pending = PendingDiffs::new(INTERVAL);
        pending.join(ms(0), presence("a", 1));
        pending.take(ms(0));
        pending.leave(ms(1), presence("a", 1));
        let diff = pending.take(ms(60)).unwrap();
        assert_eq!((dots(&diff.topics[0].joins), dots(&diff.topics[0].leaves)), (vec![], vec![1]));
    }
}
