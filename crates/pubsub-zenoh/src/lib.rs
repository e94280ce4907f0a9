//! Bennu's PubSub between nodes that connect to each other, without a broker, by [Zenoh](https://zenoh.io).
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_zenoh::Zenoh;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let zenoh = Zenoh::new("zenoh://10.0.0.2:7447?connect=10.0.0.1:7447")?;
//! let pubsub = PubSub::new(zenoh.cluster("shop").join(NodeName::new("b@host")));
//! // before the program ends:
//! pubsub.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Discovery
//!
//! A node listens at its address and connects to the configured addresses: those of `connect=`, and those of
//! [`connect`](bennu_pubsub::PubSub::connect) at run time. All nodes may have the same list; a node skips its own
//! address in it. Connected nodes send each other the addresses of their peers, so one reachable node in the list is
//! enough. In the end every node is connected to every other, and none forwards messages. A node out of reach is not an
//! error: it is logged once, the gauge `bennu.pubsub.connected` shows it, and the adapter retries without end, after 50
//! ms at first and 5 s at most, with jitter. An address that only other nodes sent is dropped after 20 minutes out of
//! reach. Nothing is sent by multicast.
//!
//! # Delivery
//!
//! Delivery is at most once, in the order of each publisher on each topic, and only to nodes with a subscriber of the
//! topic. A publisher never waits. While the other nodes keep up, the publisher puts its message into Zenoh itself.
//! Otherwise a thread of the adapter sends it from a queue of [`QUEUE_BYTES`]; a message that finds the queue full is
//! dropped and counted. Zenoh sends every accepted message to each node (congestion control `Block`). It disconnects a
//! node that reads nothing for 5 s, and the adapter connects to it again later. Until then the messages behind it wait,
//! for the other nodes too. Messages on their way to a node that is disconnected or killed are lost.
//!
//! A killed node has left at once, since its connections end. A silent node has left after 7 s. A node that
//! [leaves](bennu_pubsub::PubSub::leave) has left when its last message has arrived. A restart under the same name is a
//! leave and a join. See `docs/telemetry.md` for the metrics.
//!
//! Connections are TCP without encryption or passwords, so they need a network of their own. The largest message is as
//! large as the queue.
//!
//! # On the wire
//!
//! A Zenoh message contains the frames that were queued together, each after its length of four bytes. The key
//! expressions are `bennu/<cluster>/t/<topic>` for the messages of a topic, `bennu/<cluster>/n/<node>` for the messages
//! to one node, `bennu/<cluster>/c` for control messages, and `bennu/<cluster>/l/` for liveliness tokens. Each name is
//! one chunk: letters, digits and `-_:.+,~` stay as they are, any other byte becomes `=` and two hexadecimal digits,
//! and a name that would exceed 1,024 bytes becomes `=S` and its SHA-256.

mod adapter;
mod address;
mod address_book;
mod batch;
mod control_message;
mod dialer;
mod key;
mod linger;
mod queue_entry;
mod session;
mod shared;
mod window;
mod worker;
mod writer;

use adapter::ZenohAdapter;
use address::{Addresses, NAME};
use bennu_pubsub::{Adapter, ClusterError, NodeName};
use bennu_pubsub_cluster::LocalNode;
use key::Keys;
use shared::Shared;

pub use bennu_pubsub_cluster::QUEUE_BYTES;

/// An error of a call of zenoh's.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The addresses and the cluster of a node in a mesh; [`Zenoh::join`] returns its adapter.
#[derive(Clone)]
pub struct Zenoh {
    addresses: Addresses,
    cluster: String,
    queue_bytes: usize,
}

impl Zenoh {
    /// Configures a node by its address: `zenoh://HOST:PORT[?connect=HOST:PORT,…][&advertise=HOST:PORT,…]`.
    ///
    /// The node listens at `HOST`, a name or an IP address; `0.0.0.0` or `[::]` stands for all addresses of the
    /// machine. The default port is 7447; 0 is any free port. `connect` lists nodes to connect to. `advertise` lists
    /// the addresses at which other nodes reach this one; the default is the address at which it listens.
    ///
    /// # Errors
    /// [`ClusterError::Address`] when the text is not such an address.
    pub fn new(address: &str) -> Result<Zenoh, ClusterError> {
        let addresses = Addresses::parse(address)?;
        Ok(Zenoh { addresses, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
    }

    /// Sets the cluster's name; the default is `bennu`. Nodes of different clusters may be connected; they do not
    /// receive each other's messages.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Sets the limit of the send queue in bytes; the default is [`QUEUE_BYTES`]. A message that exceeds the limit is
    /// dropped and counted as `bennu.pubsub.dropped`.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Returns the adapter of one node. The node starts to listen, on threads of its own, when its
    /// [`bennu_pubsub::PubSub`] is created, until it leaves or its `PubSub` is dropped. An address in use is not an
    /// error: it is logged and retried.
    pub fn join(self, node: NodeName) -> impl Adapter + use<> {
        let node = LocalNode::new(NAME, node, self.queue_bytes, usize::MAX);
        ZenohAdapter::new(Shared::new(node, Keys::new(&self.cluster), self.addresses))
    }
}
