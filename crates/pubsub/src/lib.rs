//! Publish and subscribe by topic: who listens is a table on each node, how nodes hear of each other is an adapter.
//!
//! ```
//! use bennu_pubsub::{Message, PubSub};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct Sold { sku: u32 }
//! impl Message for Sold {
//!     const KIND: &'static str = "shop.sold";
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let pubsub = PubSub::local();
//! let mut sales = pubsub.subscribe::<Sold>("inventory");
//! pubsub.broadcast("inventory", Sold { sku: 7 })?;
//! assert_eq!(*sales.recv().await.unwrap(), Sold { sku: 7 });
//! # Ok::<(), bennu_pubsub::PublishError>(())
//! # }).unwrap();
//! ```
//!
//! Guarantees: at most once; what one task publishes on one topic arrives in that order at each subscriber; a
//! publisher never waits for a subscriber. Calls go down from the channels, never up: a subscriber is a [`Sink`].

mod adapter;
#[cfg(feature = "conformance")]
pub mod conformance;
mod delivery;
mod in_process;
mod membership;
mod node;
mod pubsub;
mod subscription;
mod table;
mod wire;

pub use adapter::{Adapter, ConnectError, Inbox, Incoming, Leaving, PublishError, Target};
pub use delivery::{Delivery, Message};
pub use in_process::InProcess;
pub use membership::{HEARTBEAT, Membership, NodeEvent, SILENCE};
pub use node::NodeName;
pub use pubsub::PubSub;
pub use subscription::{Lagged, Subscription};
pub use table::{Attachment, Sink, SubscriberId};
pub use wire::{Envelope, Header, WireError};
