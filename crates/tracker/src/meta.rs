//! What an application says of a presence: how it is written, and why it is refused.

use crate::message::{self, MAX_META_BYTES};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// Why a presence is not tracked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The meta cannot be written as JSON.
    #[error("the meta cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The meta is JSON, but no object.
    #[error("the meta must be a JSON object, it is {0}")]
    NotAnObject(String),
    /// Too many bytes.
    #[error("the {what} has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Topic, key or meta.
        what: &'static str,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The tracker has left.
    #[error("the tracker has left the cluster")]
    Left,
}

/// The JSON text of a meta.
pub(crate) fn encode(meta: &(impl Serialize + ?Sized)) -> Result<Arc<RawValue>, TrackError> {
    let meta = to_raw_value(meta)?;
    if !message::is_object(&meta) {
        let shown: String = meta.get().chars().take(64).collect();
        return Err(TrackError::NotAnObject(shown));
    }
    match meta.get().len() {
        bytes if bytes > MAX_META_BYTES => Err(TrackError::TooLong { what: "meta", bytes, limit: MAX_META_BYTES }),
        _ => Ok(meta.into()),
    }
}
