//! Bennu's PubSub between nodes that meet at a Redis server, version 6 or later.
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_redis::Redis;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::new("redis://:password@localhost:6379")?;
//! let pubsub = PubSub::new(redis.cluster("shop").join(NodeName::new("a@host")));
//! // before the program ends:
//! pubsub.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! A server out of reach is not an error: the node works alone, and joins the others when the server is back. Messages
//! published meanwhile reach this node's subscribers only, and are counted as dropped.
//!
//! Delivery is at most once, in the order of each publisher on each topic. See [`bennu_pubsub_cluster`] for the limits,
//! and `docs/telemetry.md` for the metrics.
//!
//! # On the server
//!
//! Nodes publish and subscribe, and store no keys. The channels are `bennu:<cluster>:t:<topic>` for the messages of a
//! topic, `bennu:<cluster>:n:<node>` for the messages to one node, and `bennu:<cluster>:c` for control messages. With
//! access control, a user needs `&bennu:<cluster>:* +hello +ping +publish +subscribe +unsubscribe`. The number of a
//! database has no meaning for channels. In a Redis Cluster the nodes may use any server.

mod command;
mod engine;
mod reply;

use bennu_pubsub::{Adapter, ClusterError, NodeName};
use bennu_pubsub_cluster::{Address, BrokerAdapter, Connector, QUEUE_BYTES, Scheme};
use engine::{NAME, RedisEngine};

#[cfg(feature = "tls")]
pub use bennu_pubsub_cluster::TlsConfig;

/// A Redis server at which the nodes of a cluster meet; [`Redis::join`] returns the adapter of one node.
#[derive(Clone)]
pub struct Redis {
    connector: Connector,
    cluster: String,
    queue_bytes: usize,
}

impl Redis {
    /// Configures a server by its URL: `redis://[[user][:password]@]host[:port]`, or `rediss://` for TLS, which needs
    /// the feature `tls`. User and password may be percent-encoded, and must be where they contain `/`, `?`, `#` or `%`. The default port is 6379.
    ///
    /// # Errors
    /// [`ClusterError::Address`] when the text is not such a URL.
    pub fn new(url: &str) -> Result<Redis, ClusterError> {
        let schemes = [Scheme { name: "redis", secure: false }, Scheme { name: "rediss", secure: true }];
        let address = Address::parse(NAME, url, &schemes, 6379)?;
        let connector = Connector::new(NAME, vec![address])?;
        Ok(Redis { connector, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
    }

    /// Sets the cluster's name; the default is `bennu`. Several clusters may share a server without receiving each
    /// other's messages.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Sets the limit of the queue towards the server in bytes; the default is [`QUEUE_BYTES`]. A message that exceeds
    /// the limit is dropped and counted as `bennu.pubsub.dropped`.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets the trusted certificates and the certificate of this program. By default the certificates of the system are
    /// trusted.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.connector.set_tls(config);
        self
    }

    /// Returns the adapter of one node. Its [`bennu_pubsub::PubSub`] must be created inside a Tokio runtime. From then
    /// on the node stays connected until it leaves or its `PubSub` is dropped.
    pub fn join(self, node: NodeName) -> impl Adapter + use<> {
        BrokerAdapter::new(RedisEngine::new(self.connector, &self.cluster), node, self.queue_bytes)
    }
}
