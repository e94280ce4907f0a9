//! Three nodes as processes, each on a host of its own, over each engine. After any failure of nodes and cables, within
//! [`BOUND`] every node lists exactly the presences of the nodes that it can reach.
//!
//! The network consists of Linux namespaces. When namespaces cannot be created or a broker is not installed, a test is
//! skipped and reports it.

mod engine;
mod node;

use engine::{Broker, Engine};
use node::Node;
use std::time::Duration;
use test_network::{Host, Switch};

/// A node that vanishes is down after 2 s, and the trackers agree 1.1 s after the network has healed (see `options` of
/// the node). An adapter needs up to 10 s to detect a dead connection and as long to make a new one. The rest is for
/// TCP, which retransmits after increasing times.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

const NAMES: [&str; 3] = ["a@cluster", "b@cluster", "c@cluster"];

/// Makes a test of each law over an engine.
macro_rules! over {
    ($module:ident, $engine:expr, $($law:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $law() {
                    if let Some(cluster) = Cluster::start(concat!(stringify!($module), "::", stringify!($law)), $engine) {
                        super::$law(cluster).await;
                    }
                }
            )*
        }
    };
}

/// The laws of all engines, and the laws of one engine.
macro_rules! over_each_engine {
    ($($law:ident)*) => {
        over! { redis, Engine::Redis, $($law)* all_nodes_come_back_after_the_engine_is_killed_and_restarted }
        over! { nats, Engine::Nats, $($law)* all_nodes_come_back_after_the_engine_is_killed_and_restarted }
        over! {
            zenoh, Engine::Zenoh, $($law)*
            two_nodes_that_cannot_reach_each_other_agree_when_they_can_and_the_third_lists_both
            the_node_in_every_address_list_may_die_and_come_back
        }
    };
}

over_each_engine! {
    all_nodes_list_the_presences_of_all
    a_killed_node_is_removed_and_may_start_again
    a_node_that_leaves_is_removed_at_once
    a_node_that_was_unplugged_and_the_others_agree_on_the_changes_meanwhile
}

/// Three hosts with a node each, and the engine.
struct Cluster {
    nodes: Vec<Node>,
    hosts: Vec<Host>,
    broker: Broker,
    switch: Switch,
    engine: Engine,
}

impl Cluster {
    fn start(test: &str, engine: Engine) -> Option<Self> {
        if let Some(cause) = test_network::unavailable().or(engine.unavailable()) {
            test_network::skip(test, cause);
            return None;
        }
        let mut switch = Switch::new();
        let broker = engine.start(&switch);
        let hosts: Vec<Host> = NAMES.iter().map(|_| switch.host()).collect();
        let mut cluster = Cluster { nodes: Vec::new(), hosts, broker, switch, engine };
        cluster.nodes = (0..NAMES.len()).map(|node| cluster.run(node)).collect();
        Some(cluster)
    }

    fn run(&self, node: usize) -> Node {
        Node::start(&self.hosts[node], NAMES[node], &self.engine.url(&self.hosts[node], &self.hosts[0]))
    }

    /// Tracks two presences on each node, and waits until all nodes list all.
    async fn populate(&mut self) {
        for (node, keys) in self.nodes.iter_mut().zip([["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]) {
            for key in keys {
                node.track(key).await;
            }
        }
        self.all_list(&["a1", "a2", "b1", "b2", "c1", "c2"]).await;
    }

    async fn all_list(&mut self, keys: &[&str]) {
        for node in &mut self.nodes {
            node.lists(keys).await;
        }
    }
}

async fn all_nodes_list_the_presences_of_all(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes[1].untrack("b1").await;
    cluster.nodes[2].track("c3").await;
    cluster.all_list(&["a1", "a2", "b2", "c1", "c2", "c3"]).await;
}

async fn a_killed_node_is_removed_and_may_start_again(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes.pop().expect("there are three nodes").kill().await;
    cluster.all_list(&["a1", "a2", "b1", "b2"]).await;
    cluster.nodes.push(cluster.run(2));
    cluster.nodes[2].track("c3").await;
    cluster.all_list(&["a1", "a2", "b1", "b2", "c3"]).await;
}

async fn a_node_that_leaves_is_removed_at_once(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes.remove(1).leave().await;
    cluster.all_list(&["a1", "a2", "c1", "c2"]).await;
}

async fn a_node_that_was_unplugged_and_the_others_agree_on_the_changes_meanwhile(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.hosts[1].unplug();
    cluster.nodes[0].untrack("a1").await;
    cluster.nodes[0].track("a3").await;
    cluster.nodes[1].untrack("b1").await;
    cluster.nodes[1].track("b3").await;
    cluster.nodes[0].lists(&["a2", "a3", "c1", "c2"]).await;
    cluster.nodes[1].lists(&["b2", "b3"]).await;
    cluster.nodes[2].lists(&["a2", "a3", "c1", "c2"]).await;
    cluster.hosts[1].plug();
    cluster.all_list(&["a2", "a3", "b2", "b3", "c1", "c2"]).await;
}

async fn all_nodes_come_back_after_the_engine_is_killed_and_restarted(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.broker.kill();
    cluster.nodes[0].track("a3").await;
    cluster.nodes[0].lists(&["a1", "a2", "a3"]).await;
    cluster.nodes[1].lists(&["b1", "b2"]).await;
    cluster.broker.restart(&cluster.switch);
    cluster.all_list(&["a1", "a2", "a3", "b1", "b2", "c1", "c2"]).await;
}

async fn two_nodes_that_cannot_reach_each_other_agree_when_they_can_and_the_third_lists_both(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.hosts[0].block(&cluster.hosts[1]);
    cluster.hosts[1].block(&cluster.hosts[0]);
    cluster.nodes[0].track("a3").await;
    cluster.nodes[1].untrack("b1").await;
    cluster.nodes[0].lists(&["a1", "a2", "a3", "c1", "c2"]).await;
    cluster.nodes[1].lists(&["b2", "c1", "c2"]).await;
    cluster.nodes[2].lists(&["a1", "a2", "a3", "b2", "c1", "c2"]).await;
    cluster.hosts[0].unblock(&cluster.hosts[1]);
    cluster.hosts[1].unblock(&cluster.hosts[0]);
    cluster.all_list(&["a1", "a2", "a3", "b2", "c1", "c2"]).await;
}

async fn the_node_in_every_address_list_may_die_and_come_back(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes.remove(0).kill().await;
    cluster.all_list(&["b1", "b2", "c1", "c2"]).await;
    cluster.nodes.insert(0, cluster.run(0));
    cluster.nodes[0].track("a3").await;
    cluster.all_list(&["a3", "b1", "b2", "c1", "c2"]).await;
}
