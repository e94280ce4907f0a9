//! Any interleaving of five replicas: the events of the simulation, in sequences that proptest can shrink.

use super::cluster::{Cluster, Event, Faults};
use super::simulation::assert_convergence;
use crate::crdt::DeltaLimit;
use crate::options::Options;
use proptest::prelude::*;

const NODES: usize = 5;

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    let faults = (0..70u64, 0..30u64, 0..4000u64);
    prop_oneof![
        20 => (node(), 0..4u64, 0..3u64).prop_map(|(node, topic, key)| Event::Join { node, topic, key }),
        12 => (node(), any::<usize>()).prop_map(|(node, nth)| Event::Leave { node, nth }),
        10 => (node(), any::<usize>()).prop_map(|(node, nth)| Event::Update { node, nth }),
        4 => (node(), node(), any::<bool>()).prop_map(|(from, to, both)| Event::Cut { from, to, both }),
        3 => Just(Event::Reconnect),
        2 => node().prop_map(|node| Event::Crash { node }),
        4 => node().prop_map(|node| Event::Start { node }),
        2 => node().prop_map(|node| Event::Goodbye { node }),
        2 => (node(), 0..50_000u64).prop_map(|(node, millis)| Event::Pause { node, millis }),
        4 => faults.prop_map(|(lost, repeated, latency)| Event::Faults(Faults { lost, repeated, latency })),
        20 => (0..2000u64).prop_map(|millis| Event::Run { millis }),
        2 => (20_000..60_000u64).prop_map(|millis| Event::Run { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_five_replicas_converges_to_exactly_the_tracked_presences(
        events in prop::collection::vec(event(), 0..100),
        seed in any::<u64>(),
        log_capacity in 1..6usize,
        bytes in 1..600usize,
        tombstones in 1..4usize,
    ) {
        let options = Options { max_delta_size: log_capacity, ..Options::default() };
        let mut cluster = Cluster::new(NODES, options, DeltaLimit { bytes, tombstones }, seed);
        events.into_iter().for_each(|event| cluster.apply(event));
        assert_convergence(&mut cluster);
    }
}
