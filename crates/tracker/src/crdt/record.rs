//! The record of one presence: a key at a topic, with its meta.
//!
//! A record is immutable; the state, the view and the diffs share it. An update creates another record with another
//! dot.

use super::replica::{Reference, Replica};
use bennu_pubsub::NodeName;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A presence: a key at a topic, with its meta. Cloning is cheap.
#[derive(Clone)]
pub struct PresenceRecord(Arc<Fields>);

struct Fields {
    topic: Arc<str>,
    key: Arc<str>,
    meta: Arc<RawValue>,
    replica: Replica,
    dot: u64,
    /// The dot of the record that this one replaced; 0 for the first record of a presence.
    previous: u64,
}

impl PresenceRecord {
    pub(crate) fn new(
        replica: &Replica,
        dot: u64,
        previous: u64,
        topic: Arc<str>,
        key: Arc<str>,
        meta: Arc<RawValue>,
    ) -> Self {
        PresenceRecord(Arc::new(Fields { topic, key, meta, replica: replica.clone(), dot, previous }))
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.0.topic
    }

    /// The key, usually a user. Several presences of a topic may have the same key, as with a user in two browsers.
    pub fn key(&self) -> &Arc<str> {
        &self.0.key
    }

    /// The meta: the JSON text of an object.
    pub fn meta(&self) -> &str {
        self.0.meta.get()
    }

    /// Parses the meta as `T`, anew at each call.
    ///
    /// # Errors
    /// When the meta is not a `T`.
    pub fn meta_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.meta())
    }

    /// The reference, which differs from those of all other presences and from the one before the last update.
    pub fn reference(&self) -> Reference {
        self.0.replica.reference(self.0.dot)
    }

    /// The reference before the last update; `None` for a presence that was never updated.
    pub fn previous(&self) -> Option<Reference> {
        (self.0.previous != 0).then(|| self.0.replica.reference(self.0.previous))
    }

    /// The node that tracks the presence.
    pub fn node(&self) -> &NodeName {
        self.0.replica.node()
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.0.replica
    }

    pub(crate) fn dot(&self) -> u64 {
        self.0.dot
    }

    pub(crate) fn previous_dot(&self) -> u64 {
        self.0.previous
    }

    pub(crate) fn shared_meta(&self) -> &Arc<RawValue> {
        &self.0.meta
    }

    /// Returns an upper bound of the record's size in a message, in bytes.
    pub(crate) fn size(&self) -> usize {
        /// Punctuation, field names and two dots.
        const OVERHEAD: usize = 56;
        let text = |text: &str| {
            text.bytes().map(|byte| if byte < b' ' || byte == b'"' || byte == b'\\' { 6 } else { 1 }).sum::<usize>()
        };
        OVERHEAD + text(self.topic()) + text(self.key()) + self.meta().len()
    }

    /// Compares by key, then by node, then in the order of joining.
    pub(crate) fn list_order(&self, other: &Self) -> Ordering {
        let (a, b) = (&*self.0, &*other.0);
        a.key.cmp(&b.key).then_with(|| (&a.replica, a.dot).cmp(&(&b.replica, b.dot)))
    }
}

/// Records are equal when their replica and dot are.
impl PartialEq for PresenceRecord {
    fn eq(&self, other: &Self) -> bool {
        self.0.dot == other.0.dot && self.0.replica == other.0.replica
    }
}

impl Eq for PresenceRecord {}

impl fmt::Debug for PresenceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { topic, key, meta, replica, dot, .. } = &*self.0;
        write!(f, "{key:?} at {topic:?} ({replica:?}:{dot}) {meta}")
    }
}
