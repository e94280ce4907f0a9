//! The limits of a presence's topic, key and meta, and the error of a value beyond them.
//!
//! [`crate::Tracker`] and [`crate::PresenceGuard`] validate an application's values before they lock a shard.
//! [`crate::message`] applies the same limits to other nodes' messages, so no node accepts a presence that another
//! rejects.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// The largest topic and the largest key, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// The largest meta, in bytes of its JSON.
pub(crate) const MAX_META_BYTES: usize = 64 * 1024;

/// An error of tracking or updating a presence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// serde_json could not encode the meta.
    #[error("could not encode the meta as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The meta is JSON and not an object. Contains the first 64 characters of its text.
    #[error("the meta is not a JSON object: {0}")]
    NotAnObject(String),
    /// Topic, key or meta exceeds its limit.
    #[error("the {field} has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// `"topic"`, `"key"` or `"meta"`.
        field: &'static str,
        /// The size of the value.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The tracker has left the cluster and accepts no changes.
    #[error("could not change the presence: the tracker has left the cluster")]
    Left,
}

/// Checks the sizes of a topic and a key.
pub(crate) fn check_names(topic: &str, key: &str) -> Result<(), TrackError> {
    for (field, text) in [("topic", topic), ("key", key)] {
        if text.len() > MAX_NAME_BYTES {
            return Err(TrackError::TooLong { field, bytes: text.len(), limit: MAX_NAME_BYTES });
        }
    }
    Ok(())
}

/// Encodes a meta as the JSON text of an object.
pub(crate) fn encode_meta(meta: &(impl Serialize + ?Sized)) -> Result<Arc<RawValue>, TrackError> {
    let meta = to_raw_value(meta)?;
    if !is_object(&meta) {
        let shown: String = meta.get().chars().take(64).collect();
        return Err(TrackError::NotAnObject(shown));
    }
    match meta.get().len() {
        bytes if bytes > MAX_META_BYTES => Err(TrackError::TooLong { field: "meta", bytes, limit: MAX_META_BYTES }),
        _ => Ok(meta.into()),
    }
}

/// Returns whether a JSON text is an object. The text of a [`RawValue`] has no leading white space.
pub(crate) fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}
