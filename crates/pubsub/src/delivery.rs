//! What is published: any message type with a name, shared between all who receive it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::sync::Arc;

/// A type that can be published.
///
/// Within a node the value itself is shared. Between nodes it travels as JSON under [`Message::KIND`], so the name
/// must be the same on every node and unique among the types of an application.
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name on the wire, for example `"shop.sold"`.
    const KIND: &'static str;
}

/// One published message on its way to one node's subscribers. Cloning shares it.
#[derive(Clone)]
pub struct Delivery {
    message: Arc<dyn Any + Send + Sync>,
    kind: &'static str,
    encode: fn(&(dyn Any + Send + Sync)) -> Result<Vec<u8>, serde_json::Error>,
}

impl Delivery {
    /// Wraps a message.
    pub fn new<M: Message>(message: Arc<M>) -> Self {
        Delivery { message, kind: M::KIND, encode: encode::<M> }
    }

    /// The message, when it is of that type.
    pub fn downcast_ref<M: Message>(&self) -> Option<&M> {
        self.message.downcast_ref()
    }

    /// The shared message, when it is of that type.
    pub fn downcast<M: Message>(&self) -> Option<Arc<M>> {
        self.message.clone().downcast().ok()
    }

    /// [`Message::KIND`] of its type.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The bytes that travel to another node.
    ///
    /// # Errors
    /// When serde cannot write the value as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        (self.encode)(&*self.message)
    }
}

fn encode<M: Message>(message: &(dyn Any + Send + Sync)) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(message.downcast_ref::<M>().expect("a delivery is built with its own type's encoder"))
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({})", self.kind)
    }
}
