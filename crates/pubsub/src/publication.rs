//! A published message: a value of any [`Message`] type, shared between all its receivers.
//!
//! A message of this node is the value itself. A message of another node stays bytes until a subscriber of its type
//! reads it; then it is decoded once for all of them.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A type that can be published.
///
/// Within a node the value itself is shared. Between nodes it travels as JSON under [`Message::KIND`], so the kind must
/// be the same on every node and unique among the types of an application.
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name on the wire, for example `"shop.sold"`.
    const KIND: &'static str;
}

/// One published message for one node's subscribers. Cloning shares it.
#[derive(Clone)]
pub struct Publication(Content);

#[derive(Clone)]
enum Content {
    Local {
        message: Arc<dyn Any + Send + Sync>,
        kind: &'static str,
        encode: fn(&(dyn Any + Send + Sync), &mut Vec<u8>) -> Result<(), serde_json::Error>,
    },
    Remote(Arc<Remote>),
}

struct Remote {
    frame: Bytes,
    kind: Range<usize>,
    json: Range<usize>,
    /// `None` when the bytes are not a message of that kind.
    decoded: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Publication {
    /// Wraps a message.
    pub fn new<M: Message>(message: Arc<M>) -> Self {
        Publication(Content::Local { message, kind: M::KIND, encode: encode::<M> })
    }

    /// Wraps the frame of another node, with the ranges of its kind, which is UTF-8, and of its JSON.
    pub(crate) fn received(frame: Bytes, kind: Range<usize>, json: Range<usize>) -> Self {
        Publication(Content::Remote(Arc::new(Remote { frame, kind, json, decoded: OnceLock::new() })))
    }

    /// Returns the message if it has this type.
    pub fn downcast_ref<M: Message>(&self) -> Option<&M> {
        self.message::<M>()?.downcast_ref()
    }

    /// Returns the shared message if it has this type.
    pub fn downcast<M: Message>(&self) -> Option<Arc<M>> {
        self.message::<M>()?.clone().downcast().ok()
    }

    fn message<M: Message>(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        match &self.0 {
            Content::Local { message, .. } => Some(message),
            Content::Remote(remote) if remote.frame[remote.kind.clone()] == *M::KIND.as_bytes() => {
                remote.decoded.get_or_init(|| decode::<M>(&remote.frame[remote.json.clone()])).as_ref()
            }
            Content::Remote(_) => None,
        }
    }

    /// Returns the [`Message::KIND`] of its type.
    pub fn kind(&self) -> &str {
        match &self.0 {
            Content::Local { kind, .. } => kind,
            Content::Remote(remote) => str::from_utf8(&remote.frame[remote.kind.clone()])
                .expect("the kind was UTF-8 when the frame was decoded"),
        }
    }

    /// Appends the JSON that travels to another node.
    ///
    /// # Errors
    /// When serde cannot write the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match &self.0 {
            Content::Local { message, encode, .. } => encode(&**message, out)?,
            Content::Remote(remote) => out.extend_from_slice(&remote.frame[remote.json.clone()]),
        }
        Ok(())
    }
}

fn encode<M: Message>(message: &(dyn Any + Send + Sync), out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(out, message.downcast_ref::<M>().expect("a publication is built with its own type's encoder"))
}

/// An undecodable message is logged and counted, since another version of the application may run on the other node.
fn decode<M: Message>(json: &[u8]) -> Option<Arc<dyn Any + Send + Sync>> {
    match serde_json::from_slice::<M>(json) {
        Ok(message) => Some(Arc::new(message)),
        Err(error) => {
            metrics::counter!("bennu.pubsub.garbage").increment(1);
            tracing::warn!(kind = M::KIND, %error, "could not decode a message of another node");
            None
        }
    }
}

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publication({})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Sold(u32);
    impl Message for Sold {
        const KIND: &'static str = "sold";
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Bought(u32);
    impl Message for Bought {
        const KIND: &'static str = "bought";
    }

    fn received(kind: &str, json: &[u8]) -> Publication {
        let frame = [kind.as_bytes(), json].concat();
        Publication::received(frame.into(), 0..kind.len(), kind.len()..kind.len() + json.len())
    }

    #[test]
    fn a_message_of_another_node_is_decoded_once_and_only_as_its_own_kind() {
        let mut json = Vec::new();
        Publication::new(Arc::new(Sold(7))).write_json(&mut json).unwrap();
        let publication = received("sold", &json);
        let (one, two) = (publication.downcast::<Sold>().unwrap(), publication.clone().downcast::<Sold>().unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((publication.downcast_ref::<Sold>(), publication.downcast_ref::<Bought>()), (Some(&Sold(7)), None));
        json.clear();
        publication.write_json(&mut json).unwrap();
        assert_eq!((publication.kind(), &json[..]), ("sold", &b"7"[..]));
    }

    #[test]
    fn bytes_that_are_not_a_message_of_the_kind_are_none() {
        let publication = received("sold", b"{]");
        assert_eq!((publication.downcast_ref::<Sold>(), publication.downcast::<Sold>()), (None, None));
    }
}
