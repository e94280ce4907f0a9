//! Publish and subscribe by topic. Each node has a table of its subscribers; an [`Adapter`] carries messages between
//! nodes.
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
//! Guarantees: delivery is at most once; the messages of one task on one topic arrive in their order at each
//! subscriber; a publisher never waits for a subscriber. Channels call this crate and this crate never calls them: a
//! subscriber is a [`Sink`].

mod adapter;
#[cfg(feature = "conformance")]
pub mod conformance;
mod in_process;
mod membership;
mod node;
mod publication;
mod pubsub;
mod subscription;
mod table;
mod wire;

pub use adapter::{Adapter, ClusterError, FrameReceiver, Inbox, LeaveFuture, PublishError, Target};
pub use in_process::InProcess;
pub use membership::{HEARTBEAT_INTERVAL, Membership, NODE_TIMEOUT};
pub use node::{NodeEvent, NodeName};
pub use publication::{Message, Publication};
pub use pubsub::PubSub;
pub use subscription::{Lagged, Subscription};
pub use table::{Attachment, Sink, SubscriberId};
pub use wire::{Envelope, Header, WireError};
