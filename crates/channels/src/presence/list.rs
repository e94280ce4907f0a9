//! What clients are sent: presences by key, each with its metas. Each meta carries its `phx_ref`, and after an update the
//! one before as `phx_ref_prev`.
//!
//! Without a `fetch`, the JSON is put together from the metas' own text; nothing is parsed.

use bennu_tracker::{Presence as Tracked, Presences, TrackError};
use bennu_protocol::{IntoPayload, Payload};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a handler's `fetch` gets and returns: presences by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PresenceMap(BTreeMap<String, PresenceEntry>);

/// The presences of one key: its metas, and what `fetch` added.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PresenceEntry {
    /// One for each presence, with its `phx_ref`.
    pub metas: Vec<Value>,
    /// What `fetch` added, beside `metas`.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl PresenceMap {
    pub(super) fn of<'a>(presences: impl Iterator<Item = &'a Tracked>) -> Self {
        let mut map = PresenceMap::default();
        for presence in presences {
            let mut json = Vec::new();
            write_meta(&mut json, presence);
            let meta = serde_json::from_slice(&json).unwrap_or_default();
            map.0.entry(presence.key().to_string()).or_default().metas.push(meta);
        }
        map
    }

    /// All keys with their entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PresenceEntry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// All keys with their entries, in order, to be added to.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut PresenceEntry)> {
        self.0.iter_mut().map(|(key, entry)| (key.as_str(), entry))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The presences of a key.
    pub fn get(&self, key: &str) -> Option<&PresenceEntry> {
        self.0.get(key)
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remove(mut self, key: &str) -> Option<PresenceEntry> {
        self.0.remove(key)
    }
}

impl PresenceEntry {
    /// Adds what clients are to know of this key beside its metas.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        self.fields.insert(field.into(), value.into());
    }
}

/// The presences at a topic, as clients are sent them: to be pushed as `presence_state`, or put into a larger value.
#[derive(Debug, Clone)]
pub struct PresenceList(Payload);

impl PresenceList {
    pub(super) fn plain(presences: &Presences) -> Self {
        let mut json = Vec::new();
        write_by_key(&mut json, presences.iter());
        PresenceList(payload(json))
    }

    pub(super) fn fetched(map: PresenceMap) -> Self {
        PresenceList(Payload::json(&map))
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for PresenceList {
    fn into_payload(self) -> Payload {
        self.0
    }
}

impl Serialize for PresenceList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json =
            self.0.as_json().ok_or_else(|| S::Error::custom("what `fetch` has added cannot be written as JSON"))?;
        serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// `{"joins": …, "leaves": …}` without a `fetch`.
pub(super) fn plain_diff(joins: &[Tracked], leaves: &[Tracked]) -> Payload {
    let mut json = Vec::new();
    json.extend_from_slice(b"{\"joins\":");
    write_by_key(&mut json, sorted(joins));
    json.extend_from_slice(b",\"leaves\":");
    write_by_key(&mut json, sorted(leaves));
    json.push(b'}');
    payload(json)
}

/// `{"joins": …, "leaves": …}` with what a `fetch` returned.
pub(super) fn fetched_diff(joins: &PresenceMap, leaves: &PresenceMap) -> Payload {
    Payload::json(&serde_json::json!({ "joins": joins, "leaves": leaves }))
}

/// By key; those of one key stay in their order.
fn sorted(presences: &[Tracked]) -> impl Iterator<Item = &Tracked> {
    let mut sorted: Vec<_> = presences.iter().collect();
    sorted.sort_by(|a, b| a.key().cmp(b.key()));
    sorted.into_iter()
}

/// `presences` come by key.
fn write_by_key<'a>(json: &mut Vec<u8>, presences: impl Iterator<Item = &'a Tracked>) {
    let mut last: Option<&str> = None;
    json.push(b'{');
    for presence in presences {
        let key = &**presence.key();
        if last == Some(key) {
            json.push(b',');
        } else {
            if last.is_some() {
                json.extend_from_slice(b"]},");
            }
            serde_json::to_writer(&mut *json, key).expect("a string is always JSON");
            json.extend_from_slice(b":{\"metas\":[");
        }
        last = Some(key);
        write_meta(json, presence);
    }
    if last.is_some() {
        json.extend_from_slice(b"]}");
    }
    json.push(b'}');
}

/// The meta with its references.
fn write_meta(json: &mut Vec<u8>, presence: &Tracked) {
    // An object, as the tracker has checked.
    let meta = presence.meta().trim();
    let inner = meta.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    json.push(b'{');
    json.extend_from_slice(inner.as_bytes());
    if !inner.trim().is_empty() {
        json.push(b',');
    }
    json.extend_from_slice(format!("\"phx_ref\":\"{}\"", presence.reference()).as_bytes());
    if let Some(previous) = presence.previous() {
        json.extend_from_slice(format!(",\"phx_ref_prev\":\"{previous}\"").as_bytes());
    }
    json.push(b'}');
}

fn payload(json: Vec<u8>) -> Payload {
    let text = String::from_utf8(json).expect("keys, metas and references are UTF-8");
    Payload::from_json_text(&text).expect("metas are JSON objects, keys and references strings")
}

/// A meta as it is tracked: one that was taken from a list has references, which are those of another presence.
pub(super) fn without_refs(meta: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>, TrackError> {
    let raw = to_raw_value(meta)?;
    if !raw.get().contains("\"phx_ref") {
        return Ok(raw);
    }
    let mut value: Value = serde_json::from_str(raw.get())?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| name != "phx_ref" && name != "phx_ref_prev");
    }
    Ok(to_raw_value(&value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu_tracker::{Options, Tracker};
    use bennu_pubsub::PubSub;
    use serde_json::json;

    fn read(list: PresenceList) -> Value {
        let (inside, sent) = (json!({ "list": list }), list.into_payload().parse::<Value>().unwrap());
        assert_eq!(inside["list"], sent, "it is the same inside another value");
        sent
    }

    #[tokio::test]
    async fn a_list_has_every_key_with_its_metas_in_the_order_of_joining_with_and_without_fetch() {
        let tracker = Tracker::start(&PubSub::local(), "t", Options::default(), ()).unwrap();
        let first = tracker.track("room", "b\"", &json!({ "n": 1 })).unwrap();
        let second = tracker.track("room", "b\"", &json!({})).unwrap();
        let before = second.reference();
        second.update(&json!({ "n": 2 })).unwrap();
        let third = tracker.track("room", "a", &json!({})).unwrap();
        let expected = json!({
            "a": { "metas": [{ "phx_ref": third.reference().to_string() }] },
            "b\"": { "metas": [
                { "n": 1, "phx_ref": first.reference().to_string() },
                { "n": 2, "phx_ref": second.reference().to_string(), "phx_ref_prev": before.to_string() },
            ] },
        });
        let presences = tracker.list("room");
        assert_eq!(read(PresenceList::plain(&presences)), expected);
        assert_eq!(read(PresenceList::fetched(PresenceMap::of(presences.iter()))), expected);
        assert_eq!(read(PresenceList::plain(&tracker.list("nobody"))), json!({}));
    }

    #[test]
    fn a_meta_that_was_taken_from_a_list_loses_its_references() {
        let meta = json!({ "phx_ref": "x", "phx_ref_prev": "y", "n": 1, "deep": { "phx_ref": 1 } });
        let kept: Value = serde_json::from_str(without_refs(&meta).unwrap().get()).unwrap();
        assert_eq!(kept, json!({ "n": 1, "deep": { "phx_ref": 1 } }));
    }
}
