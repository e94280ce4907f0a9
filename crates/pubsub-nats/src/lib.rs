//! Bennu's PubSub between nodes that meet at a NATS server, or at a cluster of them. Core NATS, without JetStream.
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_nats::Nats;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = Nats::new("nats://user:password@localhost:4222")?;
//! let pubsub = PubSub::new(nats.cluster("shop").join(NodeName::new("a@host")));
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
//! and `docs/telemetry.md` for the metrics. The largest message is the server's `max_payload`, 1 MiB by default;
//! publishing a larger one is an error.
//!
//! # On the server
//!
//! The subjects are `bennu.<cluster>.t.<topic>` for the messages of a topic, `bennu.<cluster>.n.<node>` for the
//! messages to one node, and `bennu.<cluster>.c` for control messages. A user needs the permission to publish and to
//! subscribe on `bennu.<cluster>.>`. Each name is one token: letters, digits and `-_:/@+,~` stay as they are, any other
//! byte becomes `=` and two hexadecimal digits, and a name that would exceed 1,024 bytes becomes `=#` and its SHA-256.

mod engine;
mod message;

use bennu_pubsub::{Adapter, ClusterError, NodeName};
use bennu_pubsub_cluster::{Address, BrokerAdapter, Connector, QUEUE_BYTES, Scheme};
use engine::{NAME, NatsEngine};

#[cfg(feature = "tls")]
pub use bennu_pubsub_cluster::TlsConfig;

/// A NATS server at which the nodes of a cluster meet; [`Nats::join`] returns the adapter of one node.
#[derive(Clone)]
pub struct Nats {
    connector: Connector,
    cluster: String,
    queue_bytes: usize,
}

impl Nats {
    /// Configures a server by its URL: `nats://[user:password@]host[:port]` or `nats://token@host`; `tls://` for TLS,
    /// which needs the feature `tls`. User, password and token may be percent-encoded, and must be where they contain `/`, `?`, `#`, `%` or `,`. The default port is 4222. The
    /// servers of a NATS cluster are separated by commas; each attempt to connect takes the next.
    ///
    /// # Errors
    /// [`ClusterError::Address`] when the text is not such a URL.
    pub fn new(urls: &str) -> Result<Nats, ClusterError> {
        let schemes = [Scheme { name: "nats", secure: false }, Scheme { name: "tls", secure: true }];
        let addresses = urls.split(',').map(|url| Address::parse(NAME, url.trim(), &schemes, 4222));
        let connector = Connector::new(NAME, addresses.collect::<Result<_, _>>()?)?;
        Ok(Nats { connector, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
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
        BrokerAdapter::new(NatsEngine::new(self.connector, &self.cluster), node, self.queue_bytes)
    }
}
