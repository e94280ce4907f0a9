//! Bennu's PubSub between nodes that meet at a Redis server, version 6 or later.
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_redis::Redis;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::new("redis://:password@localhost:6379")?;
//! let pubsub = PubSub::new(redis.cluster("shop").join(NodeName::new("a@host")));
//! // and when the program ends:
//! pubsub.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! A server that cannot be reached is no error: the node goes on alone, and joins the others when it can. What is
//! published meanwhile reaches this node's subscribers only, and is counted.
//!
//! Delivery is at most once, in the order of each publisher on each topic. See [`bennu_pubsub_cluster`] for the bounds, and
//! `docs/telemetry.md` for the metrics.
//!
//! # On the server
//!
//! Nodes use publish and subscribe and no keys. The channels are `bennu:<cluster>:t:<topic>` for messages,
//! `bennu:<cluster>:n:<node>` for what is for one node, and `bennu:<cluster>:c` where nodes say that they are there. With
//! access control, a user needs `&bennu:<cluster>:* +hello +ping +publish +subscribe +unsubscribe`. The number of a
//! database has no meaning for channels. In a Redis Cluster any server will do.

mod command;
mod engine;
mod reply;

use bennu_pubsub::{Adapter, ConnectError, NodeName};
use bennu_pubsub_cluster::{Address, Broker, Connector, QUEUE_BYTES, Scheme};
use engine::{NAME, RedisEngine};

#[cfg(feature = "tls")]
pub use bennu_pubsub_cluster::TlsConfig;

/// A Redis server where the nodes of a cluster meet; [`Redis::join`] makes the adapter of one.
#[derive(Clone)]
pub struct Redis {
    connector: Connector,
    cluster: String,
    queue_bytes: usize,
}

impl Redis {
    /// A server by its URL: `redis://[[user][:password]@]host[:port]`, or `rediss://` for TLS, which needs the feature
    /// `tls`. User and password may be percent-encoded. The port is 6379 unless it is given.
    ///
    /// # Errors
    /// [`ConnectError::Address`] when it is no such URL.
    pub fn new(url: &str) -> Result<Redis, ConnectError> {
        let schemes = [Scheme { name: "redis", secure: false }, Scheme { name: "rediss", secure: true }];
        let address = Address::parse(NAME, url, &schemes, 6379)?;
        let connector = Connector::new(NAME, vec![address])?;
        Ok(Redis { connector, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
    }

    /// The cluster's name, `bennu` unless it is given. Several clusters may share a server; they do not hear each other.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Bytes that may wait for the server, [`QUEUE_BYTES`] unless it is given. A message that finds no room is dropped and
    /// counted as `bennu.pubsub.dropped`.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Which certificates are trusted, and which is shown. Unless it is given, those of the system are trusted.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.connector.set_tls(config);
        self
    }

    /// The adapter of one node. Its [`bennu_pubsub::PubSub`] must be made inside a Tokio runtime; from then on the node
    /// connects, until it leaves or its `PubSub` is dropped.
    pub fn join(self, node: NodeName) -> impl Adapter + use<> {
        Broker::new(RedisEngine::new(self.connector, &self.cluster), node, self.queue_bytes)
    }
}
