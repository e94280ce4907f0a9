//! Nodes on free ports of 127.0.0.1 that connect to each other, in this process and in others.

#![allow(dead_code, reason = "each test program uses what it needs")]

pub(crate) mod child;

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::QUEUE_BYTES;
use bennu_pubsub_cluster::conformance::MeetingPoint;
use bennu_pubsub_cluster::conformance::node::Node;
use bennu_pubsub_cluster::conformance::process::free_port;
use bennu_pubsub_zenoh::Zenoh;
use parking_lot::Mutex;

/// Each node is configured with the addresses of all earlier nodes.
#[derive(Default)]
pub(crate) struct Mesh {
    ports: Mutex<Vec<u16>>,
}

impl MeetingPoint for Mesh {
    const NAME: &'static str = "zenoh";

    fn set_up() -> Option<Self> {
        Some(Mesh::default())
    }

    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        let port = free_port();
        let mut ports = self.ports.lock();
        let zenoh = Zenoh::new(&url(port, &ports)).expect("the address is valid");
        ports.push(port);
        PubSub::new(zenoh.cluster(cluster).queue_bytes(queue_bytes).join(NodeName::new(name)))
    }
}

/// Returns the address of a node that listens on `port` and connects to the other ports.
pub(crate) fn url(port: u16, others: &[u16]) -> String {
    let others: Vec<_> = others.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let connect = if others.is_empty() { String::new() } else { format!("?connect={}", others.join(",")) };
    format!("zenoh://127.0.0.1:{port}{connect}")
}

/// Starts a node of this process.
pub(crate) fn node(name: &str, port: u16, others: &[u16]) -> Node {
    node_with(name, port, others, QUEUE_BYTES)
}

/// Starts a node with that limit of its queue.
pub(crate) fn node_with(name: &str, port: u16, others: &[u16], queue_bytes: usize) -> Node {
    let zenoh = Zenoh::new(&url(port, others)).expect("the address is valid").queue_bytes(queue_bytes);
    Node::measured(|| PubSub::new(zenoh.join(NodeName::new(name))))
}
