//! What the adapters between nodes share. An application uses one of them, `bennu-pubsub-redis`, `bennu-pubsub-nats` or
//! `bennu-pubsub-zenoh`, and never this crate.
//!
//! Each has a [`Member`]: the queue of what is to be sent, the topics that are wanted, who else is there, the instruments.
//! With Zenoh nodes connect to each other. The other two meet at a broker, a server where nodes need not know each other's
//! addresses. What differs between brokers is how bytes are put on one connection, and is an [`Engine`]. What does not
//! differ is a [`Broker`]:
//!
//! - **One connection** for everything, so that what a node says keeps its order: its subscriptions before the word that
//!   it is there, its goodbye behind its last message. A task writes, another reads.
//! - **A bounded queue** towards the engine ([`QUEUE_BYTES`]). A publisher never waits: what finds the queue full is
//!   dropped and counted, and so is what is published while the engine is out of reach.
//! - **Interest.** A node subscribes to the topics that it has subscribers of, one by one, and again after a reconnect.
//! - **Who is there.** Each node says so every [`bennu_pubsub::HEARTBEAT`] on a channel of the cluster.
//! - **Reconnecting** for ever, after 50 ms at first and 5 s at most, with jitter. A connection without a word for 10 s is
//!   a dead one.
//!
//! Delivery is at most once. What one node publishes on one topic arrives in that order, and never twice.

mod address;
mod backoff;
mod broker;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod engine;
mod instrument;
mod interest;
mod member;
mod queue;
mod session;
mod shared;
mod stream;
pub mod token;
mod word;

pub use address::{Address, Scheme};
pub use backoff::Backoff;
pub use broker::Broker;
pub use connector::Connector;
pub use engine::{Channel, Decoder, Engine, Event, Malformed, OpenError, Opened};
pub use instrument::Instruments;
pub use interest::Change;
pub use member::Member;
pub use queue::{Chunk, QUEUE_BYTES, Queue};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use stream::TlsConfig;
