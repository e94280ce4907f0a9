//! Who is there: the client's copy of a topic's presences, kept by a state and the differences that follow it.
//!
//! [`sync_state`] and [`sync_diff`] are pure; [`Presence`] feeds them with a channel's messages. The behaviour is that of
//! `phoenix.js`: metas are told apart by `phx_ref`, a key without metas is gone.

use crate::Message;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The event that brings the whole state, after a join.
const STATE: &str = "presence_state";
/// The event that brings what has changed.
const DIFF: &str = "presence_diff";

/// Differences that may wait for the state that they belong to. A server sends the state right after the join; one that
/// never does must not make a client collect for ever.
const MAX_PENDING: usize = 1000;

/// The presences of a topic, by key.
pub type Presences = BTreeMap<String, Entry>;

/// One key's presence: a meta for each of its connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Entry {
    /// One for each connection, the oldest first. Each is an object with a `phx_ref` of its own.
    #[serde(default)]
    pub metas: Vec<Value>,
    /// What the server's `fetch` added beside the metas.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Diff {
    /// Metas that are new.
    #[serde(default)]
    pub joins: Presences,
    /// Metas that are gone.
    #[serde(default)]
    pub leaves: Presences,
}

/// Is told of changes; the empty methods do nothing.
///
/// A pair of closures is one too: `(on_join, on_leave)`.
pub trait Watch {
    /// Metas were added to a key. `current` is the key's presence before, `newly` holds the new metas only.
    fn joined(&mut self, _key: &str, _current: Option<&Entry>, _newly: &Entry) {}
    /// Metas were taken from a key. `current` is what is left, maybe nothing; `left` holds the metas that went.
    fn left(&mut self, _key: &str, _current: &Entry, _left: &Entry) {}
}

/// Nobody watches.
impl Watch for () {}

impl<J, L> Watch for (J, L)
where
    J: FnMut(&str, Option<&Entry>, &Entry),
    L: FnMut(&str, &Entry, &Entry),
{
    fn joined(&mut self, key: &str, current: Option<&Entry>, newly: &Entry) {
        (self.0)(key, current, newly);
    }

    fn left(&mut self, key: &str, current: &Entry, left: &Entry) {
        (self.1)(key, current, left);
    }
}

/// Replaces a state by a new one, and tells the difference.
pub fn sync_state(state: &mut Presences, new: Presences, watch: &mut impl Watch) {
    let mut diff = Diff::default();
    for (key, entry) in &*state {
        let left = match new.get(key) {
            Some(new) => without(entry, &refs(new)),
            None => entry.clone(),
        };
        if !(left.metas.is_empty() && new.contains_key(key)) {
            diff.leaves.insert(key.clone(), left);
        }
    }
    for (key, entry) in new {
        let (joined, known) = match state.get(&key) {
            Some(current) => (without(&entry, &refs(current)), true),
            None => (entry, false),
        };
        if !(known && joined.metas.is_empty()) {
            diff.joins.insert(key, joined);
        }
    }
    sync_diff(state, diff, watch);
}

/// Applies a difference: first what joined, then what left.
pub fn sync_diff(state: &mut Presences, diff: Diff, watch: &mut impl Watch) {
    for (key, newly) in diff.joins {
        let current = state.remove(&key);
        let mut entry = newly.clone();
        if let Some(current) = &current {
            // Those that were known before stay in front.
            let mut metas = without(current, &refs(&newly)).metas;
            metas.append(&mut entry.metas);
            entry.metas = metas;
        }
        watch.joined(&key, current.as_ref(), &newly);
        state.insert(key, entry);
    }
    for (key, left) in diff.leaves {
        let Some(current) = state.get_mut(&key) else { continue };
        current.metas = without(current, &refs(&left)).metas;
        watch.left(&key, current, &left);
        if current.metas.is_empty() {
            state.remove(&key);
        }
    }
}

/// The presences of one channel, kept up to date by its messages.
///
/// ```
/// use bennu_client::{Message, Payload, presence::Presence};
/// use serde_json::json;
///
/// let mut presence = Presence::new();
/// # let message = Message {
/// #     event: "presence_state".to_owned(),
/// #     payload: Payload::json(&json!({ "ann": { "metas": [{ "phx_ref": "1" }] } })),
/// #     join: 1,
/// # };
/// // while let Some(message) = room.next().await {
/// if presence.handle(&message) {
///     let here: Vec<&str> = presence.keys().collect();
///     println!("here: {here:?}");
/// }
/// # assert_eq!(presence.keys().collect::<Vec<_>>(), ["ann"]);
/// ```
#[derive(Debug, Default)]
pub struct Presence<W = ()> {
    state: Presences,
    /// The join that the state belongs to.
    join: Option<u32>,
    /// The join that the pending differences belong to.
    pending_join: u32,
    pending: Vec<Diff>,
    watch: W,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new() -> Self {
        Presence::default()
    }
}

impl<W: Watch> Presence<W> {
    /// With somebody who is told of each change: `Presence::watched((on_join, on_leave))`.
    pub fn watched(watch: W) -> Self {
        Presence { state: Presences::new(), join: None, pending_join: 0, pending: Vec::new(), watch }
    }

    /// Takes a message of the channel; `true` when the state is up to date with it, `false` for any other message and
    /// for differences that came before their state.
    ///
    /// After the channel was joined again, differences wait for the new state.
    pub fn handle(&mut self, message: &Message) -> bool {
        match message.event.as_str() {
            STATE => {
                let Some(state) = read(message) else { return false };
                self.join = Some(message.join);
                sync_state(&mut self.state, state, &mut self.watch);
                let current = self.pending_join == message.join;
                for diff in self.pending.drain(..).filter(|_| current) {
                    sync_diff(&mut self.state, diff, &mut self.watch);
                }
                true
            }
            DIFF => {
                let Some(diff) = read(message) else { return false };
                if self.join == Some(message.join) {
                    sync_diff(&mut self.state, diff, &mut self.watch);
                    return true;
                }
                if std::mem::replace(&mut self.pending_join, message.join) != message.join {
                    self.pending.clear();
                }
                if self.pending.len() < MAX_PENDING {
                    self.pending.push(diff);
                }
                false
            }
            _ => false,
        }
    }

    /// The presences, by key.
    pub fn state(&self) -> &Presences {
        &self.state
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.keys().map(String::as_str)
    }

    /// Something of each presence, in the order of the keys.
    pub fn list_by<T>(&self, mut choose: impl FnMut(&str, &Entry) -> T) -> Vec<T> {
        self.state.iter().map(|(key, entry)| choose(key, entry)).collect()
    }

    /// Who is told of changes.
    pub fn watch(&self) -> &W {
        &self.watch
    }
}

fn read<T: serde::de::DeserializeOwned>(message: &Message) -> Option<T> {
    message.parse().inspect_err(|error| tracing::warn!(%error, event = message.event, "presence cannot be read")).ok()
}

/// What tells metas apart.
fn refs(entry: &Entry) -> BTreeSet<&str> {
    entry.metas.iter().filter_map(phx_ref).collect()
}

fn phx_ref(meta: &Value) -> Option<&str> {
    meta.get("phx_ref")?.as_str()
}

/// The entry with those of its metas that have none of these refs.
fn without(entry: &Entry, refs: &BTreeSet<&str>) -> Entry {
    let metas = entry.metas.iter().filter(|meta| !phx_ref(meta).is_some_and(|reference| refs.contains(reference)));
    Entry { metas: metas.cloned().collect(), rest: entry.rest.clone() }
}
