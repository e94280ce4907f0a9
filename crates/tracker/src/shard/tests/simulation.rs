//! Random runs of clusters on a faulty network, one for each seed. All nodes must agree once the network has healed.
//!
//! `BENNU_PRESENCE_SEED=17` runs one seed; `BENNU_PRESENCE_SEEDS=10000` runs more seeds than the default.

use super::cluster::{Cluster, Event, Faults, Random, Traffic};
use crate::crdt::DeltaLimit;
use crate::options::Options;
use std::time::Duration;

const SEEDS: u64 = 300;

/// Prints the seed of a run that fails.
struct SeedReport(u64);

impl Drop for SeedReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to run this seed again: BENNU_PRESENCE_SEED={} cargo test -p bennu-tracker simulation", self.0);
        }
    }
}

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("BENNU_PRESENCE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BENNU_PRESENCE_SEEDS").unwrap_or(SEEDS),
    }
}

/// Heals the network, and checks that all nodes agree after the documented time. About nodes that crashed, the others
/// have to agree after the down period.
pub(super) fn assert_convergence(cluster: &mut Cluster) {
    cluster.heal();
    let Options { broadcast_period, max_silent_periods, down_period, .. } = cluster.options;
    let healing = broadcast_period * (max_silent_periods + 6);
    let silence = (down_period + broadcast_period * 2).saturating_sub(healing);
    cluster.apply(Event::Run { millis: healing.as_millis() as u64 });
    if let Some(disagreement) = cluster.disagreement_about_running() {
        panic!("{healing:?} after the network has healed, {disagreement}");
    }
    cluster.apply(Event::Run { millis: silence.as_millis() as u64 });
    if let Some(disagreement) = cluster.disagreement() {
        panic!("{:?} after the network has healed, {disagreement}", healing + silence);
    }
}

fn cluster(random: &mut Random, seed: u64) -> Cluster {
    let mut pick = |choices: &[usize]| choices[random.below(choices.len() as u64) as usize];
    let options = Options { max_delta_size: pick(&[1, 3, 20, 10_000]), ..Options::default() };
    let limit = DeltaLimit { bytes: pick(&[100, 1000, 100_000]), tombstones: pick(&[1, 3, 10_000]) };
    Cluster::new(pick(&[2, 3, 5, 8]), options, limit, seed)
}

fn event(random: &mut Random, nodes: usize, without_faults: bool) -> Event {
    let node = random.below(nodes as u64) as usize;
    let nth = random.below(1000) as usize;
    match random.below(if without_faults { 60 } else { 100 }) {
        0..32 => Event::Join { node, topic: random.below(4), key: random.below(5) },
        32..47 => Event::Leave { node, nth },
        47..60 => Event::Update { node, nth },
        60..68 => Event::Cut { from: node, to: random.below(nodes as u64) as usize, both: random.below(3) > 0 },
        68..76 => Event::Reconnect,
        76..80 => Event::Crash { node },
        80..88 => Event::Start { node },
        88..91 => Event::Goodbye { node },
        91..94 => Event::Pause { node, millis: random.below(40_000) },
        _ => Event::Faults(Faults {
            lost: random.below(60),
            repeated: random.below(30),
            latency: [1, 100, 1000, 5000][random.below(4) as usize],
        }),
    }
}

/// Runs a cluster with faults and then without. Returns the traffic of ten times `max_silent_periods` at the end.
fn run(seed: u64) -> (Cluster, Traffic) {
    let mut random = Random::new(seed);
    let mut cluster = cluster(&mut random, seed);
    let nodes = cluster.nodes.len();
    for _ in 0..random.below(250) {
        cluster.apply(event(&mut random, nodes, false));
        // Often several events happen in one period, and sometimes none for longer than the down period.
        let pause = match random.below(40) {
            0..20 => 50,
            20..35 => 500,
            35..39 => 3000,
            _ => 60_000,
        };
        cluster.apply(Event::Run { millis: random.below(pause) });
    }
    assert_convergence(&mut cluster);
    let before = cluster.traffic.clone();
    let silence = cluster.options.broadcast_period * cluster.options.max_silent_periods * 10;
    cluster.apply(Event::Run { millis: silence.as_millis() as u64 });
    let Traffic { broadcasts, directed } = cluster.traffic;
    let idle = Traffic { broadcasts: broadcasts - before.broadcasts, directed: directed - before.directed };
    (cluster, idle)
}

#[test]
fn after_any_run_all_nodes_agree_and_then_send_only_heartbeats() {
    let mut population = 0;
    for seed in seeds() {
        let _report = SeedReport(seed);
        let (cluster, idle) = run(seed);
        assert_eq!(idle.directed, 0, "a converged node sends no requests");
        assert!(idle.broadcasts <= cluster.running() * 11, "{idle:?} of {} nodes", cluster.running());
        assert_eq!(cluster.disagreement(), None);
        population += cluster.population();
    }
    eprintln!("{population} presences in all");
}

#[test]
fn a_seed_determines_the_run() {
    for seed in 0..5 {
        assert_eq!(run(seed).0.trace, run(seed).0.trace);
    }
    assert_ne!(run(1).0.trace, run(2).0.trace);
}

#[test]
fn without_faults_all_nodes_agree_after_two_periods() {
    for seed in 0..50 {
        let _report = SeedReport(seed);
        let mut random = Random::new(seed);
        let mut cluster = cluster(&mut random, seed);
        let nodes = cluster.nodes.len();
        cluster.apply(Event::Run { millis: 5000 });
        for _ in 0..30 {
            cluster.apply(event(&mut random, nodes, true));
            cluster.apply(Event::Run { millis: random.below(100) });
        }
        let periods = cluster.options.broadcast_period * 2 + Duration::from_secs(1);
        cluster.apply(Event::Run { millis: periods.as_millis() as u64 });
        assert!(cluster.population() > 0);
        assert_eq!(cluster.disagreement(), None);
    }
}
