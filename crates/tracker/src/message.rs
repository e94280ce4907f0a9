//! What travels between the shards of two nodes, and what of it is believed.
//!
//! A message is JSON on the wire, and shared as it is between nodes of one program. A later version may add fields and
//! kinds: fields that are not known are skipped, and a message of an unknown kind still is a sign of life. What
//! contradicts itself or the limits is garbage: [`Message::check`] refuses it before any of it is used.
//!
//! A message is smaller than 600 KB: [`ROOM`] for each piece of state, and one presence on top.

use crate::dots::Dots;
use crate::presence::Presence;
use crate::replica::Replica;
use crate::share::Share;
use crate::state::{Piece, Room};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a topic and of a key.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// Bytes of a meta as JSON.
pub(crate) const MAX_META_BYTES: usize = 64 * 1024;

/// What one message may hold of a share: 256 KiB of presences, and 8,192 departures of about 24 bytes.
pub(crate) const ROOM: Room = Room { bytes: 256 * 1024, departures: 8192 };

/// What a message may hold that this node believes: many times [`ROOM`], so that a later version may grow.
const MAX_ITEMS: usize = 1 << 20;

/// Greater than any dot: room for a million changes a second for a hundred years.
const MAX_DOT: u64 = 1 << 52;

const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "v")]
    version: u32,
    pub(crate) node: Arc<str>,
    pub(crate) incarnation: u64,
    pub(crate) what: What,
    /// What the sender has published of its own share: whoever knows less has missed something.
    pub(crate) clock: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ask: Option<Ask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) piece: Option<WirePiece>,
}

impl bennu_pubsub::Message for Message {
    const KIND: &'static str = "bennu.presence";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Somebody is new and asks who is there.
    Hello,
    /// The answer to that, to them alone.
    Greeting,
    /// Nothing changed, but the sender lives.
    Heartbeat,
    /// What changed since the last delta.
    Delta,
    /// Asks one node for a part of its share.
    Ask,
    /// That part, to who asked alone.
    Answer,
    /// The sender is about to end, and its presences with it.
    Goodbye,
    /// From a later version.
    #[serde(other)]
    Unknown,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            What::Hello => "hello",
            What::Greeting => "greeting",
            What::Heartbeat => "heartbeat",
            What::Delta => "delta",
            What::Ask => "ask",
            What::Answer => "answer",
            What::Goodbye => "goodbye",
            What::Unknown => "unknown",
        }
    }
}

/// See [`crate::state::State::extract`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The incarnation that is asked.
    pub(crate) of: u64,
    /// The answer has the same.
    pub(crate) nonce: u64,
    pub(crate) from: u64,
    pub(crate) since: u64,
}

/// A [`Piece`] without its sender's name in every presence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WirePiece {
    /// That of the ask; 0 in a delta.
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

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Garbage(&'static str);

impl Message {
    pub(crate) fn new(replica: &Replica, what: What, clock: u64) -> Self {
        let node = replica.node().as_str().into();
        Message { version: VERSION, node, incarnation: replica.incarnation(), what, clock, ask: None, piece: None }
    }

    pub(crate) fn ask(self, ask: Ask) -> Self {
        Message { ask: Some(ask), ..self }
    }

    pub(crate) fn piece(self, nonce: u64, piece: Piece) -> Self {
        Message { piece: Some(WirePiece::new(nonce, piece)), ..self }
    }

    /// # Errors
    /// When it contradicts itself or the limits.
    pub(crate) fn check(&self) -> Result<(), Garbage> {
        let sensible = |holds: bool, otherwise: &'static str| if holds { Ok(()) } else { Err(Garbage(otherwise)) };
        sensible(!self.node.is_empty() && self.node.len() <= MAX_NAME_BYTES, "the node's name is empty or too long")?;
        sensible(self.clock < MAX_DOT, "the clock is too great")?;
        sensible(
            (self.what == What::Ask) == self.ask.is_some() || self.what == What::Unknown,
            "an ask without its ask",
        )?;
        let brings = matches!(self.what, What::Delta | What::Answer);
        sensible(brings == self.piece.is_some() || self.what == What::Unknown, "a piece is missing or out of place")?;
        self.piece.as_ref().map_or(Ok(()), WirePiece::check)
    }
}

impl WirePiece {
    fn new(nonce: u64, piece: Piece) -> Self {
        let Piece { from, until, since, share } = piece;
        let mut topics: BTreeMap<Arc<str>, Vec<WirePresence>> = BTreeMap::new();
        for (dot, presence) in share.presences {
            topics.entry(presence.topic().clone()).or_default().push(WirePresence {
                dot,
                previous: presence.previous_dot(),
                key: presence.key().clone(),
                meta: presence.shared_meta().clone(),
            });
        }
        let topics = topics.into_iter().map(|(topic, presences)| WireTopic { topic, presences }).collect();
        WirePiece { nonce, from, until, since, dots: share.dots.ranges().to_vec(), topics }
    }

    fn check(&self) -> Result<(), Garbage> {
        if self.from > self.until || self.until >= MAX_DOT || self.since >= MAX_DOT {
            return Err(Garbage("the piece's range is no range"));
        }
        if self.dots.iter().any(|(first, last)| *first == 0 || first > last || *last > self.until) {
            return Err(Garbage("the piece covers what it cannot know"));
        }
        if self.dots.len() + self.topics.iter().map(|topic| topic.presences.len()).sum::<usize>() > MAX_ITEMS {
            return Err(Garbage("the piece is too large"));
        }
        let dots = self.dots();
        for topic in &self.topics {
            if topic.topic.len() > MAX_NAME_BYTES {
                return Err(Garbage("a topic is too long"));
            }
            for presence in &topic.presences {
                if !dots.contains(presence.dot) || presence.previous >= presence.dot {
                    return Err(Garbage("a presence's dot is not in the piece"));
                }
                if presence.key.len() > MAX_NAME_BYTES || presence.meta.get().len() > MAX_META_BYTES {
                    return Err(Garbage("a key or a meta is too long"));
                }
                if !is_object(&presence.meta) {
                    return Err(Garbage("a meta is no object"));
                }
            }
        }
        Ok(())
    }

    fn dots(&self) -> Dots {
        let mut dots = Dots::default();
        self.dots.iter().for_each(|(first, last)| dots.insert(*first, *last));
        dots
    }

    /// What it says about the replica that sent it. `name` may know the topic's one allocation.
    pub(crate) fn read(&self, replica: &Replica, name: impl Fn(&str) -> Option<Arc<str>>) -> Piece {
        let mut presences = BTreeMap::new();
        for WireTopic { topic, presences: here } in &self.topics {
            let topic = name(topic).unwrap_or_else(|| topic.clone());
            for WirePresence { dot, previous, key, meta } in here {
                let presence = Presence::new(replica, *dot, *previous, topic.clone(), key.clone(), meta.clone());
                presences.insert(*dot, presence);
            }
        }
        let share = Share { dots: self.dots(), presences };
        Piece { from: self.from, until: self.until, since: self.since, share }
    }
}

pub(crate) fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

#[cfg(test)]
mod tests;
