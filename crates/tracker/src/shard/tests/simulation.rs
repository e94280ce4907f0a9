//! Clusters that live through bad times, one for each seed, and must agree once times are good.
//!
//! `BENNU_PRESENCE_SEED=17` plays one seed; `BENNU_PRESENCE_SEEDS=10000` plays more than the usual number.

use super::cluster::{Cluster, Event, Random, Traffic, Weather};
use crate::options::Options;
use crate::state::Room;
use std::time::Duration;

const SEEDS: u64 = 300;

/// Says which seed it was when a test fails.
struct Naming(u64);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play this again: BENNU_PRESENCE_SEED={} cargo test -p bennu-tracker simulation", self.0);
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

/// Plays for as long as nodes may disagree after the network has healed: what the crate promises, and for nodes that
/// ended without a word the time after which they are down.
pub(super) fn agree(cluster: &mut Cluster) {
    cluster.heal();
    let Options { broadcast_period, max_silent_periods, down_period, .. } = cluster.options;
    let healing = broadcast_period * (max_silent_periods + 6);
    let silence = (down_period + broadcast_period * 2).saturating_sub(healing);
    cluster.play(Event::Run { millis: healing.as_millis() as u64 });
    if let Some(disagreement) = cluster.disagreement_about_running() {
        panic!("{healing:?} after the network has healed, {disagreement}");
    }
    cluster.play(Event::Run { millis: silence.as_millis() as u64 });
    if let Some(disagreement) = cluster.disagreement() {
        panic!("{:?} after the network has healed, {disagreement}", healing + silence);
    }
}

fn cluster(random: &mut Random, seed: u64) -> Cluster {
    let mut pick = |choices: &[usize]| choices[random.below(choices.len() as u64) as usize];
    let options = Options { max_delta_size: pick(&[1, 3, 20, 10_000]), ..Options::default() };
    let room = Room { bytes: pick(&[100, 1000, 100_000]), departures: pick(&[1, 3, 10_000]) };
    Cluster::new(pick(&[2, 3, 5, 8]), options, room, seed)
}

fn event(random: &mut Random, nodes: usize, calm: bool) -> Event {
    let node = random.below(nodes as u64) as usize;
    let nth = random.below(1000) as usize;
    match random.below(if calm { 60 } else { 100 }) {
        0..32 => Event::Join { node, topic: random.below(4), key: random.below(5) },
        32..47 => Event::Leave { node, nth },
        47..60 => Event::Update { node, nth },
        60..68 => Event::Cut { from: node, to: random.below(nodes as u64) as usize, both: random.below(3) > 0 },
        68..76 => Event::Mend,
        76..80 => Event::Crash { node },
        80..88 => Event::Start { node },
        88..91 => Event::Goodbye { node },
        91..94 => Event::Stall { node, millis: random.below(40_000) },
        _ => Event::Weather(Weather {
            lost: random.below(60),
            repeated: random.below(30),
            latency: [1, 100, 1000, 5000][random.below(4) as usize],
        }),
    }
}

/// Bad times and then good ones. Returns what was sent in ten silent periods at the end.
fn live_through(seed: u64) -> (Cluster, Traffic) {
    let mut random = Random::new(seed);
    let mut cluster = cluster(&mut random, seed);
    let nodes = cluster.nodes.len();
    for _ in 0..random.below(250) {
        cluster.play(event(&mut random, nodes, false));
        // Often several things happen in one period, now and then nothing for longer than a node is waited for.
        let pause = match random.below(40) {
            0..20 => 50,
            20..35 => 500,
            35..39 => 3000,
            _ => 60_000,
        };
        cluster.play(Event::Run { millis: random.below(pause) });
    }
    agree(&mut cluster);
    let before = cluster.traffic.clone();
    let silence = cluster.options.broadcast_period * cluster.options.max_silent_periods * 10;
    cluster.play(Event::Run { millis: silence.as_millis() as u64 });
    let Traffic { broadcasts, directed } = cluster.traffic;
    let idle = Traffic { broadcasts: broadcasts - before.broadcasts, directed: directed - before.directed };
    (cluster, idle)
}

#[test]
fn whatever_happened_all_agree_soon_after_and_then_there_is_silence() {
    let mut population = 0;
    for seed in seeds() {
        let _naming = Naming(seed);
        let (cluster, idle) = live_through(seed);
        assert_eq!(idle.directed, 0, "nobody asks when nothing is missing");
        assert!(idle.broadcasts <= cluster.running() * 11, "{idle:?} of {} nodes", cluster.running());
        assert_eq!(cluster.disagreement(), None);
        population += cluster.population();
    }
    eprintln!("{population} presences in all");
}

#[test]
fn a_seed_plays_the_same_again() {
    for seed in 0..5 {
        assert_eq!(live_through(seed).0.trace, live_through(seed).0.trace);
    }
    assert_ne!(live_through(1).0.trace, live_through(2).0.trace);
}

#[test]
fn in_good_weather_all_agree_after_two_periods() {
    for seed in 0..50 {
        let _naming = Naming(seed);
        let mut random = Random::new(seed);
        let mut cluster = cluster(&mut random, seed);
        let nodes = cluster.nodes.len();
        cluster.play(Event::Run { millis: 5000 });
        for _ in 0..30 {
            cluster.play(event(&mut random, nodes, true));
            cluster.play(Event::Run { millis: random.below(100) });
        }
        let periods = cluster.options.broadcast_period * 2 + Duration::from_secs(1);
        cluster.play(Event::Run { millis: periods.as_millis() as u64 });
        assert!(cluster.population() > 0);
        assert_eq!(cluster.disagreement(), None);
    }
}
