//! Bennu's PubSub between nodes that connect to each other, without a broker, by [Zenoh](https://zenoh.io).
//!
//! ```no_run
//! use bennu_pubsub::{NodeName, PubSub};
//! use bennu_pubsub_zenoh::Zenoh;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let zenoh = Zenoh::new("zenoh://10.0.0.2:7447?connect=10.0.0.1:7447")?;
//! let pubsub = PubSub::new(zenoh.cluster("shop").join(NodeName::new("b@host")));
//! // and when the program ends:
//! pubsub.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Who finds whom
//!
//! A node listens at its address and connects to those that it is told: in `connect=`, and by
//! [`connect`](bennu_pubsub::PubSub::connect) at run time. All nodes may have the same list; a node's own address in it is
//! left out. Connected nodes tell each other of the rest, so one that is there is enough, and all end up connected to all:
//! nothing is passed on by a third. A node that is out of reach is no error: it is reported once, shown by the gauge
//! `bennu.pubsub.connected`, and tried again for ever, after 50 ms at first and 5 s at most, with jitter; one that only other
//! nodes told of is forgotten after 20 minutes. Nothing is sent by multicast.
//!
//! # What is delivered
//!
//! At most once, in the order of each publisher on each topic, and only to nodes that have a subscriber of the topic.
//! A publisher never waits: while the other nodes keep up it hands its message to Zenoh itself. Else a thread of the adapter's
//! takes the message from a queue of [`QUEUE_BYTES`], and what finds that full is dropped and counted. Towards each node zenoh
//! sends all that is taken (congestion control `Block`); one that takes nothing for 5 s is cut off, and found again. Until then
//! what is behind waits, for the other nodes too. What was on its way to a node that is cut off or killed is lost.
//!
//! A node that is killed has left at once, as its connections end; one that falls silent after 7 s; one that
//! [leaves](bennu_pubsub::PubSub::leave) when its last message has arrived. A restart under the same name is a leave and a
//! join. See `docs/telemetry.md` for the metrics.
//!
//! Connections are TCP without encryption or passwords: they belong into a network of their own. Messages are at most as
//! large as the queue.
//!
//! # On the wire
//!
//! A message of Zenoh's holds the frames that waited together, each behind its length of four bytes. Key expressions are
//! `bennu/<cluster>/t/<topic>` for messages, `bennu/<cluster>/n/<node>` for what is for one node,
//! `bennu/<cluster>/c` where nodes tell of addresses and set marks, and liveliness tokens below `bennu/<cluster>/l/`. Each name is one
//! chunk: letters, digits and `-_:.+,~` stand for themselves, any other byte is `=` with two hexadecimal digits, and a name of
//! more than 1,024 bytes after that is `=S` with its SHA-256.

mod adapter;
mod address;
mod batch;
mod credit;
mod dial;
mod entry;
mod error;
mod key;
mod linger;
mod link;
mod notice;
mod outlet;
mod roster;
mod session;
mod worker;

use adapter::Peer;
use address::{NAME, Places};
use bennu_pubsub::{Adapter, ConnectError, NodeName};
use bennu_pubsub_cluster::Member;
use key::Keys;
use link::Link;

pub use bennu_pubsub_cluster::QUEUE_BYTES;

/// A place in a mesh of nodes; [`Zenoh::join`] makes the adapter of one.
#[derive(Clone)]
pub struct Zenoh {
    places: Places,
    cluster: String,
    queue_bytes: usize,
}

impl Zenoh {
    /// Where a node listens, and where it looks for others: `zenoh://HOST:PORT[?connect=HOST:PORT,…][&advertise=HOST:PORT,…]`.
    ///
    /// `HOST` is where this node listens, a name or an IP address; `0.0.0.0` or `[::]` for all of the machine's. The port is
    /// 7447 unless it is given, 0 for any. `connect` names nodes to connect to. `advertise` is where others find this one;
    /// unless it is given that is where it listens.
    ///
    /// # Errors
    /// [`ConnectError::Address`] when it is no such text.
    pub fn new(address: &str) -> Result<Zenoh, ConnectError> {
        let places = Places::parse(address)?;
        Ok(Zenoh { places, cluster: "bennu".to_owned(), queue_bytes: QUEUE_BYTES })
    }

    /// The cluster's name, `bennu` unless it is given. Nodes of several clusters that connect to each other do not hear each
    /// other.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Bytes that may wait to be sent, [`QUEUE_BYTES`] unless it is given. A message that finds no room is dropped and counted
    /// as `bennu.pubsub.dropped`.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// The adapter of one node. When its [`bennu_pubsub::PubSub`] is made the node starts to listen, on threads of its own,
    /// until it leaves or its `PubSub` is dropped. An address that is taken is no error: it is reported, and tried again.
    pub fn join(self, node: NodeName) -> impl Adapter + use<> {
        let member = Member::new(NAME, node, self.queue_bytes, usize::MAX);
        Peer::new(Link::new(member, Keys::new(&self.cluster), self.places))
    }
}
