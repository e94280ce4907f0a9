//! One presence: somebody (a key) at a topic, with what is known about them.
//!
//! Immutable, and shared by the state, the view and the diffs. An update is another presence, tagged by another dot.

use crate::replica::{Reference, Replica};
use bennu_pubsub::NodeName;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Somebody at a topic. Cloning is cheap.
#[derive(Clone)]
pub struct Presence(Arc<Fields>);

struct Fields {
    topic: Arc<str>,
    key: Arc<str>,
    meta: Arc<RawValue>,
    replica: Replica,
    dot: u64,
    /// The dot of the presence that this one updates; 0 when it updates none.
    previous: u64,
}

impl Presence {
    pub(crate) fn new(
        replica: &Replica,
        dot: u64,
        previous: u64,
        topic: Arc<str>,
        key: Arc<str>,
        meta: Arc<RawValue>,
    ) -> Self {
        Presence(Arc::new(Fields { topic, key, meta, replica: replica.clone(), dot, previous }))
    }

    /// Where.
    pub fn topic(&self) -> &Arc<str> {
        &self.0.topic
    }

    /// Who. Several presences of a topic may have one key: a user with two browsers.
    pub fn key(&self) -> &Arc<str> {
        &self.0.key
    }

    /// What is known about them: the JSON text of an object.
    pub fn meta(&self) -> &str {
        self.0.meta.get()
    }

    /// The meta as a type of one's own, which is parsed at each call.
    ///
    /// # Errors
    /// When the meta does not have that shape.
    pub fn meta_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.meta())
    }

    /// Tells this presence apart from any other, and from itself before its last update.
    pub fn reference(&self) -> Reference {
        self.0.replica.reference(self.0.dot)
    }

    /// The reference that it had before its last update.
    pub fn previous(&self) -> Option<Reference> {
        (self.0.previous != 0).then(|| self.0.replica.reference(self.0.previous))
    }

    /// The node that tracks it.
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

    /// Bytes that it takes in a message, at most.
    pub(crate) fn size(&self) -> usize {
        /// Punctuation, names of fields, and two dots.
        const AROUND: usize = 56;
        let text = |text: &str| {
            text.bytes().map(|byte| if byte < b' ' || byte == b'"' || byte == b'\\' { 6 } else { 1 }).sum::<usize>()
        };
        AROUND + text(self.topic()) + text(self.key()) + self.meta().len()
    }

    /// By key, then by node, then in the order of joining.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (&*self.0, &*other.0);
        a.key.cmp(&b.key).then_with(|| (&a.replica, a.dot).cmp(&(&b.replica, b.dot)))
    }
}

/// The same presence is the same dot.
impl PartialEq for Presence {
    fn eq(&self, other: &Self) -> bool {
        self.0.dot == other.0.dot && self.0.replica == other.0.replica
    }
}

impl Eq for Presence {}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { topic, key, meta, replica, dot, .. } = &*self.0;
        write!(f, "{key:?} at {topic:?} ({replica:?}:{dot}) {meta}")
    }
}
