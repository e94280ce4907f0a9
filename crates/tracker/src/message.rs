//! The messages between the shards of two nodes, their wire format, and their validation.
//!
//! A message is JSON on the wire; nodes of one program share it without encoding. A later version may add fields and
//! kinds: unknown fields are skipped, and a message of an unknown kind still proves that its sender lives. A message
//! that contradicts itself or the limits is invalid; [`Message::check`] rejects it before the shard uses any part of
//! it.
//!
//! A message is smaller than 600 KB: [`DELTA_LIMIT`], and one presence that may exceed it.

use crate::crdt::{Delta, DeltaLimit, DotSet, DotStore, PresenceRecord, Replica};
use crate::validation::{MAX_META_BYTES, MAX_NAME_BYTES, is_object};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest delta that a node sends: 256 KiB of presences, and 8,192 tombstones of about 24 bytes.
pub(crate) const DELTA_LIMIT: DeltaLimit = DeltaLimit { bytes: 256 * 1024, tombstones: 8192 };

/// The most ranges and presences of a delta that a node accepts: many times [`DELTA_LIMIT`], so that a later version
/// may send larger deltas.
const MAX_ITEMS: usize = 1 << 20;

/// Greater than any dot: a million changes a second for a hundred years.
const MAX_DOT: u64 = 1 << 52;

const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "v")]
    version: u32,
    pub(crate) node: Arc<str>,
    pub(crate) incarnation: u64,
    #[serde(rename = "what")]
    pub(crate) kind: MessageKind,
    /// The last dot that the sender has published. A receiver whose copy ends before it has missed a change.
    pub(crate) clock: u64,
    #[serde(rename = "ask", default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<DeltaRequest>,
    #[serde(rename = "piece", default, skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<WireDelta>,
}

impl bennu_pubsub::Message for Message {
    const KIND: &'static str = "bennu.presence";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MessageKind {
    /// A new node introduces itself to all nodes.
    Hello,
    /// The response to a hello, to the new node alone.
    Greeting,
    /// The sender lives and has no changes.
    Heartbeat,
    /// The sender's changes since its last delta.
    Delta,
    /// A request for a delta of the receiver's state.
    #[serde(rename = "ask")]
    Request,
    /// The requested delta, to the requesting node alone.
    #[serde(rename = "answer")]
    Response,
    /// The sender is about to end, and its presences with it.
    Goodbye,
    /// A kind of a later version.
    #[serde(other)]
    Unknown,
}

impl MessageKind {
    /// Returns the name on the wire and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            MessageKind::Hello => "hello",
            MessageKind::Greeting => "greeting",
            MessageKind::Heartbeat => "heartbeat",
            MessageKind::Delta => "delta",
            MessageKind::Request => "ask",
            MessageKind::Response => "answer",
            MessageKind::Goodbye => "goodbye",
            MessageKind::Unknown => "unknown",
        }
    }
}

/// The parameters of [`State::delta`](crate::crdt::State::delta) on the requested node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeltaRequest {
    /// The incarnation of the requested node. A later incarnation ignores the request.
    #[serde(rename = "of")]
    pub(crate) incarnation: u64,
    /// The response carries the same nonce.
    pub(crate) nonce: u64,
    pub(crate) from: u64,
    pub(crate) since: u64,
}

/// A [`Delta`] without the sender's name in every presence, and with each topic once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WireDelta {
    /// The nonce of the request; 0 in a broadcast delta.
    #[serde(default)]
    pub(crate) nonce: u64,
    from: u64,
    until: u64,
    since: u64,
    dots: Vec<(u64, u64)>,
    topics: Vec<WireTopic>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WireTopic {
    topic: Arc<str>,
    presences: Vec<WirePresence>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WirePresence {
    #[serde(rename = "d")]
    dot: u64,
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    previous: u64,
    #[serde(rename = "k")]
    key: Arc<str>,
    #[serde(rename = "m")]
    meta: Arc<RawValue>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The reason for which a message is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidMessage(&'static str);

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), InvalidMessage> {
    if holds { Ok(()) } else { Err(InvalidMessage(otherwise)) }
}

impl Message {
    pub(crate) fn new(replica: &Replica, kind: MessageKind, clock: u64) -> Self {
        let node = replica.node().as_str().into();
        Message { version: VERSION, node, incarnation: replica.incarnation(), kind, clock, request: None, delta: None }
    }

    pub(crate) fn request(self, request: DeltaRequest) -> Self {
        Message { request: Some(request), ..self }
    }

    pub(crate) fn delta(self, nonce: u64, delta: Delta) -> Self {
        Message { delta: Some(WireDelta::new(nonce, delta)), ..self }
    }

    /// Validates a message of another node.
    ///
    /// # Errors
    /// When the message contradicts itself or exceeds a limit.
    pub(crate) fn check(&self) -> Result<(), InvalidMessage> {
        let is_unknown = self.kind == MessageKind::Unknown;
        let is_request = self.kind == MessageKind::Request;
        let has_delta = matches!(self.kind, MessageKind::Delta | MessageKind::Response);
        ensure(
            !self.node.is_empty() && self.node.len() <= MAX_NAME_BYTES,
            "the node name is not 1 to 1,024 bytes long",
        )?;
        ensure(self.clock < MAX_DOT, "the clock is not less than 2^52")?;
        ensure(is_unknown || is_request == self.request.is_some(), "`ask` is missing or does not belong to this kind")?;
        ensure(is_unknown || has_delta == self.delta.is_some(), "`piece` is missing or does not belong to this kind")?;
        self.delta.as_ref().map_or(Ok(()), WireDelta::check)
    }
}

impl WireDelta {
    fn new(nonce: u64, delta: Delta) -> Self {
        let Delta { from, until, since, store } = delta;
        let mut topics: BTreeMap<Arc<str>, Vec<WirePresence>> = BTreeMap::new();
        for (dot, presence) in store.presences {
            topics.entry(presence.topic().clone()).or_default().push(WirePresence {
                dot,
                previous: presence.previous_dot(),
                key: presence.key().clone(),
                meta: presence.shared_meta().clone(),
            });
        }
        let topics = topics.into_iter().map(|(topic, presences)| WireTopic { topic, presences }).collect();
        WireDelta { nonce, from, until, since, dots: store.context.ranges().to_vec(), topics }
    }

    fn check(&self) -> Result<(), InvalidMessage> {
        let is_range = self.from <= self.until && self.until < MAX_DOT && self.since < MAX_DOT;
        ensure(is_range, "`from`, `until` and `since` are not a range of dots")?;
        let is_covered = |(first, last): &(u64, u64)| 0 < *first && first <= last && *last <= self.until;
        ensure(self.dots.iter().all(is_covered), "`dots` contains a range that is empty or ends after `until`")?;
        let items = self.dots.len() + self.topics.iter().map(|topic| topic.presences.len()).sum::<usize>();
        ensure(items <= MAX_ITEMS, "the delta has more than 2^20 ranges and presences")?;
        let context = self.context();
        for topic in &self.topics {
            ensure(topic.topic.len() <= MAX_NAME_BYTES, "a topic is longer than 1,024 bytes")?;
            for presence in &topic.presences {
                ensure(context.contains(presence.dot), "a presence's dot is not in `dots`")?;
                ensure(presence.previous < presence.dot, "a presence's previous dot is not less than its dot")?;
                ensure(presence.key.len() <= MAX_NAME_BYTES, "a key is longer than 1,024 bytes")?;
                ensure(presence.meta.get().len() <= MAX_META_BYTES, "a meta is longer than 64 KiB")?;
                ensure(is_object(&presence.meta), "a meta is not an object")?;
            }
        }
        Ok(())
    }

    fn context(&self) -> DotSet {
        let mut context = DotSet::default();
        self.dots.iter().for_each(|(first, last)| context.insert(*first, *last));
        context
    }

    /// Returns the delta of the replica that sent it. `topic_name` returns the topic's existing allocation, if any.
    pub(crate) fn to_delta(&self, replica: &Replica, topic_name: impl Fn(&str) -> Option<Arc<str>>) -> Delta {
        let mut presences = BTreeMap::new();
        for WireTopic { topic, presences: at_topic } in &self.topics {
            let topic = topic_name(topic).unwrap_or_else(|| topic.clone());
            for WirePresence { dot, previous, key, meta } in at_topic {
                let presence = PresenceRecord::new(replica, *dot, *previous, topic.clone(), key.clone(), meta.clone());
                presences.insert(*dot, presence);
            }
        }
        let store = DotStore { context: self.context(), presences };
        Delta { from: self.from, until: self.until, since: self.since, store }
    }
}

#[cfg(test)]
mod tests;
