//! Parts that the adapters between nodes share. An application uses one of the adapters, `bennu-pubsub-redis`,
//! `bennu-pubsub-nats` or `bennu-pubsub-zenoh`, and does not use this crate.
//!
//! Every adapter has a [`LocalNode`]: the send queue, the interest, the membership and the instruments. [`Address`]
//! parses addresses, [`Backoff`] spaces attempts, and [`token`] encodes names. The Zenoh adapter uses no more than
//! that, since its nodes connect to each other.
//!
//! Redis and NATS are brokers: servers at which nodes meet without the addresses of each other. An [`Engine`] is the
//! protocol of one kind of broker; a [`BrokerAdapter`] is everything else:
//!
//! - **One connection** carries everything, so that the order of a node is kept: its subscriptions precede its hello,
//!   and its goodbye follows its last message. One task writes, another reads.
//! - **A bounded queue** towards the engine ([`QUEUE_BYTES`]). A publisher never waits. A message that finds the queue
//!   full is dropped and counted, and so is a message that is published while the engine is out of reach.
//! - **Interest.** A node subscribes to each topic that has a subscriber on it, and subscribes again after a reconnect.
//! - **Membership.** Each node sends a heartbeat every [`bennu_pubsub::HEARTBEAT_INTERVAL`] on a subject of the
//!   cluster.
//! - **Reconnects** without end, after 50 ms at first and 5 s at most, with jitter. A connection that delivers no bytes
//!   for 10 s is dead.
//!
//! Delivery is at most once. The messages of one node on one topic arrive in their order, and none arrives twice.

mod adapter;
mod address;
mod backoff;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod control_message;
mod engine;
mod instrument;
mod interest;
mod local_node;
mod queue;
mod session;
mod shared;
mod stream;
pub mod token;

pub use adapter::BrokerAdapter;
pub use address::{Address, AddressOptions, Scheme, address_error};
pub use backoff::Backoff;
pub use connector::Connector;
pub use engine::{BrokerConnection, BrokerProtocolError, Engine, Event, EventDecoder, OpenError, Subject};
pub use instrument::Instruments;
pub use interest::InterestChange;
pub use local_node::LocalNode;
pub use queue::{Chunk, QUEUE_BYTES, SendQueue};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use stream::TlsConfig;
