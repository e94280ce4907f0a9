//! A broadcast of a channel event, and the fastlane: encoded once for each encoding, shared by every receiver.

pub(crate) mod encoding;

use crate::broadcast::encoding::Encoding;
use bennu_protocol::{IntoPayload, Outbound, Payload};
use bennu_pubsub::{Message, PublishError};
use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;
use std::sync::Arc;

/// An event that was broadcast on a topic. Cloning it shares its contents.
///
/// A channel receives a broadcast that it intercepts in `handle_out`, and one of a topic that it has subscribed to in
/// `HandleInfo<_, Broadcast>`.
///
/// ```
/// use bennu_channels::prelude::*;
///
/// struct Feed;
///
/// impl<S: Socket> Channel<S> for Feed {
///     async fn join(_topic: &str, _params: Payload, ctx: &mut Context<S, Self>) -> Joined<Self> {
///         ctx.subscribe::<Broadcast>("news");
///         accept(Feed)
///     }
/// }
///
/// impl<S: Socket> HandleInfo<S, Broadcast> for Feed {
///     async fn handle_info(&mut self, news: Broadcast, ctx: &mut Context<S, Self>) -> Flow {
///         ctx.push(news.event(), news.payload().clone())?;
///         noreply()
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Broadcast(Arc<Inner>);

struct Inner {
    topic: CompactString,
    event: CompactString,
    payload: Payload,
    encoded: Mutex<Encoded>,
}

/// The frame of each encoding that a receiver has; `None` where a version cannot carry it. There are two serializers
/// and a few framings, so a handful at most.
type Encoded = SmallVec<[(Encoding, Option<Bytes>); 2]>;

/// A broadcast that could not be sent. No client has received it, unless only other nodes were out of reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The payload is neither a JSON object nor binary data.
    #[error("a broadcast's payload must be a JSON object or binary data, not {0}")]
    NotAnObject(String),
    /// Binary frames hold one byte for each length.
    #[error("a binary broadcast's {part} is {len} bytes long, the limit is 255")]
    TooLong {
        /// `topic` or `event`.
        part: &'static str,
        /// Its length.
        len: usize,
    },
    /// Other nodes could not be reached; this node's subscribers have received it.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The channel has not joined yet.
    #[error("a channel cannot broadcast inside `join`: broadcast from `joined`")]
    NotJoined,
}

impl Broadcast {
    /// A broadcast, checked so that every V2 client can receive it.
    ///
    /// # Errors
    /// [`BroadcastError::NotAnObject`] and [`BroadcastError::TooLong`].
    pub fn new(topic: &str, event: &str, payload: impl IntoPayload) -> Result<Self, BroadcastError> {
        let payload = payload.into_payload();
        if payload.as_binary().is_some() {
            for (part, text) in [("topic", topic), ("event", event)] {
                if text.len() > 255 {
                    return Err(BroadcastError::TooLong { part, len: text.len() });
                }
            }
        } else if !payload.is_object() {
            let whole = format!("{payload:?}");
            let mut shown: String = whole.chars().take(100).collect();
            if shown.len() < whole.len() {
                shown.push('…');
            }
            return Err(BroadcastError::NotAnObject(shown));
        }
        Ok(Broadcast(Arc::new(Inner {
            topic: topic.into(),
            event: event.into(),
            payload,
            encoded: Mutex::new(SmallVec::new()),
        })))
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.0.event
    }

    /// The data.
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }

    /// Returns the frame for one encoding. The first receiver with that encoding makes it.
    ///
    /// `None` for a binary payload and V1, which is counted, and logged once for each broadcast.
    pub(crate) fn frame(&self, encoding: &Encoding) -> Option<Bytes> {
        let mut encoded = self.0.encoded.lock();
        if let Some((_, frame)) = encoded.iter().find(|(known, _)| known == encoding) {
            return frame.clone();
        }
        let message = Outbound::Broadcast { topic: self.topic(), event: self.event(), payload: self.payload() };
        let frame = encoding.encode(&message).map_err(|error| {
            metrics::counter!("bennu.broadcast.unencodable").increment(1);
            tracing::warn!(topic = self.topic(), event = self.event(), %error, "broadcast skipped for some clients");
        });
        let frame = frame.ok();
        encoded.push((*encoding, frame.clone()));
        frame
    }
}

impl Message for Broadcast {
    const KIND: &'static str = "phx.broadcast";
}

/// The form in which a broadcast is sent to other nodes: its parts, never its frames.
#[derive(Serialize, Deserialize)]
struct Parts<'a> {
    topic: std::borrow::Cow<'a, str>,
    event: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Box<serde_json::value::RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<Vec<u8>>,
}

impl Serialize for Broadcast {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.payload().as_json().map(|json| serde_json::value::RawValue::from_string(json.to_owned()));
        Parts {
            topic: self.topic().into(),
            event: self.event().into(),
            json: json.transpose().map_err(serde::ser::Error::custom)?,
            binary: self.payload().as_binary().map(|data| data.to_vec()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Broadcast {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Parts::deserialize(deserializer)?;
        let payload = match (parts.json, parts.binary) {
            (Some(json), None) => Payload::from_json_text(json.get()).map_err(serde::de::Error::custom)?,
            (None, Some(data)) => Payload::binary(data),
            _ => return Err(serde::de::Error::custom("a broadcast has either json or binary")),
        };
        Broadcast::new(&parts.topic, &parts.event, payload).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broadcast({:?}, {:?}, {:?})", self.topic(), self.event(), self.payload())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::encoding::Framing;
    use bennu_protocol::Serializer as Version;
    use serde_json::json;

    static PLAIN: Framing = Framing { name: "plain", frame: |_, bytes| Bytes::copy_from_slice(bytes) };

    #[test]
    fn receivers_with_one_encoding_share_the_same_bytes() {
        let broadcast = Broadcast::new("t", "e", json!({ "a": 1 })).unwrap();
        let encoding = Encoding { serializer: Version::V2, framing: &PLAIN };
        let (one, two) = (broadcast.frame(&encoding).unwrap(), broadcast.frame(&encoding).unwrap());
        assert_eq!(one, &br#"[null,null,"t","e",{"a":1}]"#[..]);
        assert_eq!(one.as_ptr(), two.as_ptr());
    }

    #[test]
    fn a_binary_broadcast_is_skipped_for_v1_and_reaches_v2() {
        let broadcast = Broadcast::new("t", "e", vec![1, 2]).unwrap();
        assert_eq!(broadcast.frame(&Encoding { serializer: Version::V1, framing: &PLAIN }), None);
        assert!(broadcast.frame(&Encoding { serializer: Version::V2, framing: &PLAIN }).is_some());
    }

    #[test]
    fn a_payload_that_is_not_an_object_is_an_error_with_its_value_and_a_long_topic_with_its_length() {
        let error = Broadcast::new("t", "e", json!([1])).unwrap_err();
        assert_eq!(error.to_string(), "a broadcast's payload must be a JSON object or binary data, not [1]");
        let error = Broadcast::new("t", "e", json!("é".repeat(1000))).unwrap_err();
        let shown = format!("\"{}…", "é".repeat(99));
        assert_eq!(error, BroadcastError::NotAnObject(shown));
        let error = Broadcast::new(&"t".repeat(300), "e", vec![1]).unwrap_err();
        assert_eq!(error, BroadcastError::TooLong { part: "topic", len: 300 });
    }

    #[test]
    fn it_travels_between_nodes_unchanged() {
        for payload in [Payload::from_json_text(r#"{"b":1e3,"a":1}"#).unwrap(), Payload::binary(vec![0, 255])] {
            let sent = Broadcast::new("t", "e", payload).unwrap();
            let received: Broadcast = serde_json::from_slice(&serde_json::to_vec(&sent).unwrap()).unwrap();
            assert_eq!(received.payload(), sent.payload());
            assert_eq!((received.topic(), received.event()), ("t", "e"));
        }
    }
}
