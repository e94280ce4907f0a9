//! Presence: the client's copy of a topic's presences, built from the server's state and diffs.
//!
//! [`sync_state`] and [`sync_diff`] are pure; [`ChannelPresence`] applies them to a channel's messages. The behaviour is that
//! of `phoenix.js`: metas are identified by their `phx_ref`, and a key without metas is removed.

use crate::ChannelMessage;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The event with the whole state, which the server sends after a join.
const STATE: &str = "presence_state";
/// The event with the changes.
const DIFF: &str = "presence_diff";

/// The limit of diffs that wait for the state of their join. A server sends the state right after the join; a server
/// that never does must not grow the client's memory.
const MAX_PENDING_DIFFS: usize = 1000;

/// The presences of a topic, by key.
pub type PresenceState = BTreeMap<String, Entry>;

/// The presence of one key: a meta for each of its connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Entry {
    /// The metas, one for each connection, the oldest first. Each is an object with a unique `phx_ref`.
    #[serde(default)]
    pub metas: Vec<Value>,
    /// The data that the server's `fetch` has added beside the metas.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// The changes of a state.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PresenceChange {
    /// New metas.
    #[serde(default)]
    pub joins: PresenceState,
    /// Removed metas.
    #[serde(default)]
    pub leaves: PresenceState,
}

/// Receives the changes of a state. Both methods do nothing by default.
///
/// A pair of closures `(on_join, on_leave)` is a listener too.
pub trait Listener {
    /// Metas were added to a key. `current` is the key's earlier presence, `newly` has the new metas only.
    fn joined(&mut self, _key: &str, _current: Option<&Entry>, _newly: &Entry) {}
    /// Metas were removed from a key. `current` has the remaining metas, possibly none; `left` has the removed ones.
    fn left(&mut self, _key: &str, _current: &Entry, _left: &Entry) {}
}

/// Ignores all changes.
impl Listener for () {}

impl<J, L> Listener for (J, L)
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

/// Replaces a state by a new one and reports the differences to the listener.
pub fn sync_state(state: &mut PresenceState, new: PresenceState, listener: &mut impl Listener) {
    let mut diff = PresenceChange::default();
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
    sync_diff(state, diff, listener);
}

/// Applies a diff, joins before leaves, and reports it to the listener.
pub fn sync_diff(state: &mut PresenceState, diff: PresenceChange, listener: &mut impl Listener) {
    for (key, newly) in diff.joins {
        let current = state.remove(&key);
        let mut entry = newly.clone();
        if let Some(current) = &current {
            // Earlier metas stay in front of new ones.
            let mut metas = without(current, &refs(&newly)).metas;
            metas.append(&mut entry.metas);
            entry.metas = metas;
        }
        listener.joined(&key, current.as_ref(), &newly);
        state.insert(key, entry);
    }
    for (key, left) in diff.leaves {
        let Some(current) = state.get_mut(&key) else { continue };
        current.metas = without(current, &refs(&left)).metas;
        listener.left(&key, current, &left);
        if current.metas.is_empty() {
            state.remove(&key);
        }
    }
}

/// The presences of one channel, updated by its messages.
///
/// ```
/// use bennu_client::{ChannelMessage, Payload, presence::ChannelPresence};
/// use serde_json::json;
///
/// let mut presence = ChannelPresence::new();
/// # let message = ChannelMessage {
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
pub struct ChannelPresence<L = ()> {
    state: PresenceState,
    /// The join that the state belongs to.
    join: Option<u32>,
    /// The join that the pending diffs belong to.
    pending_join: u32,
    pending: Vec<PresenceChange>,
    listener: L,
}

impl ChannelPresence {
    /// Creates an empty presence without a listener.
    pub fn new() -> Self {
        ChannelPresence::default()
    }
}

impl<L: Listener> ChannelPresence<L> {
    /// Creates an empty presence that reports each change: `ChannelPresence::with_listener((on_join, on_leave))`.
    pub fn with_listener(listener: L) -> Self {
        ChannelPresence { state: PresenceState::new(), join: None, pending_join: 0, pending: Vec::new(), listener }
    }

    /// Handles a message of the channel. Returns `true` when the state is up to date with the message, `false` for
    /// other messages and for diffs that arrive before their state.
    ///
    /// After the channel has joined again, diffs wait for the new state.
    pub fn handle(&mut self, message: &ChannelMessage) -> bool {
        match message.event.as_str() {
            STATE => {
                let Some(state) = read(message) else { return false };
                self.join = Some(message.join);
                sync_state(&mut self.state, state, &mut self.listener);
                let current = self.pending_join == message.join;
                for diff in self.pending.drain(..).filter(|_| current) {
                    sync_diff(&mut self.state, diff, &mut self.listener);
                }
                true
            }
            DIFF => {
                let Some(diff) = read(message) else { return false };
                if self.join == Some(message.join) {
                    sync_diff(&mut self.state, diff, &mut self.listener);
                    return true;
                }
                if std::mem::replace(&mut self.pending_join, message.join) != message.join {
                    self.pending.clear();
                }
                if self.pending.len() < MAX_PENDING_DIFFS {
                    self.pending.push(diff);
                }
                false
            }
            _ => false,
        }
    }

    /// Returns the presences, by key.
    pub fn state(&self) -> &PresenceState {
        &self.state
    }

    /// Returns the keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.keys().map(String::as_str)
    }

    /// Maps each presence to a value, in the order of the keys.
    pub fn list_by<T>(&self, mut choose: impl FnMut(&str, &Entry) -> T) -> Vec<T> {
        self.state.iter().map(|(key, entry)| choose(key, entry)).collect()
    }

    /// Returns the listener.
    pub fn listener(&self) -> &L {
        &self.listener
    }
}

fn read<T: serde::de::DeserializeOwned>(message: &ChannelMessage) -> Option<T> {
    message
        .parse()
        .inspect_err(
            |error| tracing::warn!(%error, event = message.event, "could not parse a presence message, it is ignored"),
        )
        .ok()
}

/// Returns the refs of an entry's metas.
fn refs(entry: &Entry) -> BTreeSet<&str> {
    entry.metas.iter().filter_map(phx_ref).collect()
}

fn phx_ref(meta: &Value) -> Option<&str> {
    meta.get("phx_ref")?.as_str()
}

/// Returns the entry without the metas that have one of these refs.
fn without(entry: &Entry, refs: &BTreeSet<&str>) -> Entry {
    let metas = entry.metas.iter().filter(|meta| !phx_ref(meta).is_some_and(|reference| refs.contains(reference)));
    Entry { metas: metas.cloned().collect(), rest: entry.rest.clone() }
}
