//! Any interleaving of five replicas: what the seeds of the simulation do, in sequences that proptest can shorten.

use super::cluster::{Cluster, Event, Weather};
use super::simulation::agree;
use crate::options::Options;
use crate::state::Room;
use proptest::prelude::*;

const NODES: usize = 5;

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    let weather = (0..70u64, 0..30u64, 0..4000u64);
    prop_oneof![
        20 => (node(), 0..4u64, 0..3u64).prop_map(|(node, topic, key)| Event::Join { node, topic, key }),
        12 => (node(), any::<usize>()).prop_map(|(node, nth)| Event::Leave { node, nth }),
        10 => (node(), any::<usize>()).prop_map(|(node, nth)| Event::Update { node, nth }),
        4 => (node(), node(), any::<bool>()).prop_map(|(from, to, both)| Event::Cut { from, to, both }),
        3 => Just(Event::Mend),
        2 => node().prop_map(|node| Event::Crash { node }),
        4 => node().prop_map(|node| Event::Start { node }),
        2 => node().prop_map(|node| Event::Goodbye { node }),
        2 => (node(), 0..50_000u64).prop_map(|(node, millis)| Event::Stall { node, millis }),
        4 => weather.prop_map(|(lost, repeated, latency)| Event::Weather(Weather { lost, repeated, latency })),
        20 => (0..2000u64).prop_map(|millis| Event::Run { millis }),
        2 => (20_000..60_000u64).prop_map(|millis| Event::Run { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_five_replicas_ends_in_agreement_on_exactly_who_is_there(
        events in prop::collection::vec(event(), 0..100),
        seed in any::<u64>(),
        memory in 1..6usize,
        bytes in 1..600usize,
        departures in 1..4usize,
    ) {
        let options = Options { max_delta_size: memory, ..Options::default() };
        let mut cluster = Cluster::new(NODES, options, Room { bytes, departures }, seed);
        events.into_iter().for_each(|event| cluster.play(event));
        agree(&mut cluster);
    }
}
