//! Presences by key, each with its metas, as clients receive them. Each meta contains its `phx_ref`, and after an
//! update the previous one as `phx_ref_prev`.
//!
//! Without a `fetch`, the JSON is built from the metas' own text; nothing is parsed.

use bennu_protocol::{IntoPayload, Payload};
use bennu_tracker::{PresenceRecord, PresenceSnapshot, TrackError};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Presences by key: the argument and the result of a handler's `fetch`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PresenceMap(BTreeMap<String, PresenceEntry>);

/// The presences of one key: its metas, and the fields that `fetch` has added.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PresenceEntry {
    /// The metas, one for each presence, with its `phx_ref`.
    pub metas: Vec<Value>,
    /// The fields that `fetch` has added, beside `metas`.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl PresenceMap {
    pub(crate) fn of<'a>(presences: impl Iterator<Item = &'a PresenceRecord>) -> Self {
        let mut map = PresenceMap::default();
        for presence in presences {
            let mut json = Vec::new();
            write_meta(&mut json, presence);
            let meta = serde_json::from_slice(&json).unwrap_or_default();
            map.0.entry(presence.key().to_string()).or_default().metas.push(meta);
        }
        map
    }

    /// Returns all keys with their entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PresenceEntry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Returns all keys with their entries, in order, for changes.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut PresenceEntry)> {
        self.0.iter_mut().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Returns all keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the presences of a key.
    pub fn get(&self, key: &str) -> Option<&PresenceEntry> {
        self.0.get(key)
    }

    /// Returns whether there are no presences.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn remove(mut self, key: &str) -> Option<PresenceEntry> {
        self.0.remove(key)
    }
}

impl PresenceEntry {
    /// Adds a field to this key, beside its metas.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        self.fields.insert(field.into(), value.into());
    }
}

/// The presences at a topic in the form for clients. Push it as `presence_state`, or put it into a larger value.
#[derive(Debug, Clone)]
pub struct PresenceList(Payload);

impl PresenceList {
    pub(crate) fn plain(presences: &PresenceSnapshot) -> Self {
        let mut json = Vec::new();
        write_by_key(&mut json, presences.iter());
        PresenceList(payload(json))
    }

    pub(crate) fn fetched(map: PresenceMap) -> Self {
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
            self.0.as_json().ok_or_else(|| S::Error::custom("a field that `fetch` has added has no form as JSON"))?;
        serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Returns `{"joins": …, "leaves": …}` without a `fetch`.
pub(crate) fn plain_diff(joins: &[PresenceRecord], leaves: &[PresenceRecord]) -> Payload {
    let mut json = Vec::new();
    json.extend_from_slice(b"{\"joins\":");
    write_by_key(&mut json, sorted(joins));
    json.extend_from_slice(b",\"leaves\":");
    write_by_key(&mut json, sorted(leaves));
    json.push(b'}');
    payload(json)
}

/// Returns `{"joins": …, "leaves": …}` with the fields of a `fetch`.
pub(crate) fn fetched_diff(joins: &PresenceMap, leaves: &PresenceMap) -> Payload {
    Payload::json(&serde_json::json!({ "joins": joins, "leaves": leaves }))
}

/// Sorts by key; presences of one key stay in their order.
fn sorted(presences: &[PresenceRecord]) -> impl Iterator<Item = &PresenceRecord> {
    let mut sorted: Vec<_> = presences.iter().collect();
    sorted.sort_by(|a, b| a.key().cmp(b.key()));
    sorted.into_iter()
}

/// Writes presences, which are sorted by key.
fn write_by_key<'a>(json: &mut Vec<u8>, presences: impl Iterator<Item = &'a PresenceRecord>) {
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

/// Writes a meta with its references.
fn write_meta(json: &mut Vec<u8>, presence: &PresenceRecord) {
    // It is an object: the tracker has checked that.
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

/// Removes the references from a meta. A meta from a list contains those of another presence.
pub(crate) fn without_refs(meta: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>, TrackError> {
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
    use bennu_pubsub::PubSub;
    use bennu_tracker::{Options, Tracker};
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
