//! Nodes that connect to each other on free ports of 127.0.0.1, in this process and in others.

#![allow(dead_code, reason = "each test program uses what it needs")]

pub(crate) mod child;

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::QUEUE_BYTES;
use bennu_pubsub_cluster::conformance::Meeting;
use bennu_pubsub_cluster::conformance::node::Node;
use bennu_pubsub_cluster::conformance::process::free_port;
use bennu_pubsub_zenoh::Zenoh;
use parking_lot::Mutex;

/// Each node names all that were there before it.
#[derive(Default)]
pub(crate) struct Mesh {
    ports: Mutex<Vec<u16>>,
}

impl Meeting for Mesh {
    const NAME: &'static str = "zenoh";

    fn arrange() -> Option<Self> {
        Some(Mesh::default())
    }

    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        let port = free_port();
        let mut ports = self.ports.lock();
        let zenoh = Zenoh::new(&url(port, &ports)).expect("a good address");
        ports.push(port);
        PubSub::new(zenoh.cluster(cluster).queue_bytes(queue_bytes).join(NodeName::new(name)))
    }
}

/// Where a node listens, and whom it names.
pub(crate) fn url(port: u16, named: &[u16]) -> String {
    let named: Vec<_> = named.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let connect = if named.is_empty() { String::new() } else { format!("?connect={}", named.join(",")) };
    format!("zenoh://127.0.0.1:{port}{connect}")
}

/// A node of this process.
pub(crate) fn node(name: &str, port: u16, named: &[u16]) -> Node {
    node_with(name, port, named, QUEUE_BYTES)
}

/// A node whose queue is that long.
pub(crate) fn node_with(name: &str, port: u16, named: &[u16], queue_bytes: usize) -> Node {
    let zenoh = Zenoh::new(&url(port, named)).expect("a good address").queue_bytes(queue_bytes);
    Node::of(|| PubSub::new(zenoh.join(NodeName::new(name))))
}
