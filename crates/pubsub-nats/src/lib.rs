//! Bennu's PubSub between nodes that meet at a NATS server, or at a cluster of them. Core NATS, without JetStream.
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_nats::Nats;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = Nats::new("nats://user:password@localhost:4222")?;
//! let pubsub = PubSub::new(nats.cluster("shop").join(NodeName::new("a@host")));
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
//! `docs/telemetry.md` for the metrics. A message is at most as large as the server's `max_payload`, 1 MiB unless it is
//! configured; publishing a larger one is an error.
//!
//! # On the server
//!
//! The subjects are `bennu.<cluster>.t.<topic>` for messages, `bennu.<cluster>.n.<node>` for what is for one node, and
//! `bennu.<cluster>.c` where nodes say that they are there. A user needs to publish and subscribe on `bennu.<cluster>.>`.
//! Each name is one token: letters, digits and `-_:/@+,~` stand for themselves, any other byte is `=` with two hexadecimal
//! digits, and a name of more than 1,024 bytes after that is `=#` with its SHA-256.

mod engine;
mod message;

use bennu_pubsub::{Adapter, ConnectError, NodeName};
use bennu_pubsub_cluster::{Address, Broker, Connector, QUEUE_BYTES, Scheme};
use engine::{NAME, NatsEngine};

#[cfg(feature = "tls")]
pub use bennu_pubsub_cluster::TlsConfig;

/// A NATS server where the nodes of a cluster meet; [`Nats::join`] makes the adapter of one.
#[derive(Clone)]
pub struct Nats {
    connector: Connector,
    cluster: String,
    queue_bytes: usize,
}

impl Nats {
    /// A server by its URL: `nats://[user:password@]host[:port]` or `nats://token@host`; `tls://` for TLS, which needs the
    /// feature `tls`. User, password and token may be percent-encoded. The port is 4222 unless it is given. The servers
    /// of a NATS cluster are separated by commas; each attempt to connect takes the next.
    ///
    /// # Errors
    /// [`ConnectError::Address`] when it is no such URL.
    pub fn new(urls: &str) -> Result<Nats, ConnectError> {
        let schemes = [Scheme { name: "nats", secure: false }, Scheme { name: "tls", secure: true }];
        let addresses = urls.split(',').map(|url| Address::parse(NAME, url.trim(), &schemes, 4222));
        let connector = Connector::new(NAME, addresses.collect::<Result<_, _>>()?)?;
        Ok(Nats { connector, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
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
        Broker::new(NatsEngine::new(self.connector, &self.cluster), node, self.queue_bytes)
    }
}
