//! Three nodes as processes, each on a host of its own, over each engine: whatever happens to nodes and cables, within
//! [`BOUND`] every node lists exactly the presences of those that it can reach.
//!
//! The network is made of namespaces; where none can be made, or a broker is not installed, a test says that it is skipped.

mod engine;
mod node;

use engine::{Broker, Engine};
use node::Node;
use std::time::Duration;
use test_network::{Host, Switch};

/// A node that is gone without a word is down after 2 s, and 1.1 s after the network has healed the trackers agree (see
/// `options` of the node). An adapter needs up to 10 s to notice a dead connection and as long to make a new one; the rest is
/// for TCP, which tries again after ever longer times.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

const NAMES: [&str; 3] = ["a@cluster", "b@cluster", "c@cluster"];

/// A test of each law over each engine.
macro_rules! over_each_engine {
    ($($law:ident)*) => {
        over_each_engine! { @ redis Engine::Redis, $($law)* }
        over_each_engine! { @ nats Engine::Nats, $($law)* }
    };
    (@ $module:ident $engine:expr, $($law:ident)*) => {
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

over_each_engine! {
    all_nodes_list_the_presences_of_all
    a_killed_node_is_missed_and_starts_anew
    a_node_that_leaves_is_gone_at_once
    a_node_cut_off_and_back_and_the_others_agree_on_what_happened_meanwhile
    an_engine_that_is_killed_and_started_again_brings_everybody_back
}

/// Three hosts with a node each, and what they meet by.
struct Cluster {
    nodes: Vec<Node>,
    hosts: Vec<Host>,
    broker: Broker,
    switch: Switch,
    engine: Engine,
}

impl Cluster {
    fn start(test: &str, engine: Engine) -> Option<Self> {
        if let Some(missing) = test_network::missing().or(engine.missing()) {
            test_network::skip(test, missing);
            return None;
        }
        let mut switch = Switch::new();
        let broker = engine.start(&switch);
        let hosts: Vec<Host> = NAMES.iter().map(|_| switch.host()).collect();
        let nodes = hosts.iter().zip(NAMES).map(|(host, name)| Node::start(host, name, &engine.url())).collect();
        Some(Cluster { nodes, hosts, broker, switch, engine })
    }

    /// Each node tracks two presences, and all list all.
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

async fn a_killed_node_is_missed_and_starts_anew(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes.pop().expect("c").kill().await;
    cluster.all_list(&["a1", "a2", "b1", "b2"]).await;
    cluster.nodes.push(Node::start(&cluster.hosts[2], NAMES[2], &cluster.engine.url()));
    cluster.nodes[2].track("c3").await;
    cluster.all_list(&["a1", "a2", "b1", "b2", "c3"]).await;
}

async fn a_node_that_leaves_is_gone_at_once(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.nodes.remove(1).leave().await;
    cluster.all_list(&["a1", "a2", "c1", "c2"]).await;
}

async fn a_node_cut_off_and_back_and_the_others_agree_on_what_happened_meanwhile(mut cluster: Cluster) {
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

async fn an_engine_that_is_killed_and_started_again_brings_everybody_back(mut cluster: Cluster) {
    cluster.populate().await;
    cluster.broker.kill();
    cluster.nodes[0].track("a3").await;
    cluster.nodes[0].lists(&["a1", "a2", "a3"]).await;
    cluster.nodes[1].lists(&["b1", "b2"]).await;
    cluster.broker.start_again(&cluster.switch);
    cluster.all_list(&["a1", "a2", "a3", "b1", "b2", "c1", "c2"]).await;
}
