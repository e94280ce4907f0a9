//! `bennu-bench-brokers`: broadcasts from one node to another over Redis, NATS and Zenoh, beside publish and subscribe
//! with the engine's own client in the same run.
//!
//! This file runs the measurements and prints the table. It compares [`client`] with [`nodes`]; [`raw`] measures the
//! limit of the server. [`arrival`] records the arrival of messages for all three, and [`server`] starts the brokers.

mod arrival;
mod client;
mod nodes;
mod raw;
mod server;

use arrival::{Arrivals, Latency};
use server::Engine;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

// As in the binaries that serve.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The bytes of a message's payload.
const PAYLOAD: usize = 100;

/// The number of unreceived messages at any time in a throughput measurement: some hundred KiB.
const WINDOW: u64 = 4096;

/// The number of slices of a round. The three candidates alternate by slice, so that other load on the machine affects
/// all of them alike.
const SLICES: u32 = 20;

const USAGE: &str = "usage: bennu-bench-brokers [redis|nats|zenoh] [--rounds N] [--quick]";

/// The amount of measurement.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    /// The duration of a throughput measurement.
    duration: Duration,
    /// The messages of a latency measurement, one after another.
    messages: usize,
}

/// The result of one candidate in one round.
struct Figures {
    per_second: f64,
    latency: Latency,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((engines, plan)) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // The log shows a lost connection, which would spoil the figures.
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads");
    for engine in engines {
        if !runtime.block_on(measure(engine, plan)) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn read(arguments: &[String]) -> Option<(Vec<Engine>, Plan)> {
    let mut engines = vec![Engine::Redis, Engine::Nats, Engine::Zenoh];
    let mut plan = Plan { rounds: 5, duration: Duration::from_secs(2), messages: 10_000 };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "redis" => engines = vec![Engine::Redis],
            "nats" => engines = vec![Engine::Nats],
            "zenoh" => engines = vec![Engine::Zenoh],
            "--rounds" => plan.rounds = arguments.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            "--quick" => plan = Plan { rounds: 1, duration: Duration::from_millis(200), messages: 500 },
            _ => return None,
        }
    }
    Some((engines, plan))
}

/// Measures all three candidates, round by round, and prints the table. `false` when the server is not installed.
async fn measure(engine: Engine, plan: Plan) -> bool {
    let Some(server) = engine.start() else { return false };
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        let mut client = Measured::new(client::Publisher::start(engine, server.port()).await);
        let mut nodes = Measured::new(nodes::Publisher::start(engine, server.port()).await);
        let mut raw = Measured::new(raw::Publisher::start(engine, server.port()).await);
        for slice in 0..=SLICES {
            // The first slice is a warm-up.
            let counts = slice > 0;
            client.measure(plan, counts).await;
            nodes.measure(plan, counts).await;
            raw.measure(plan, counts).await;
        }
        rounds.push([client.figures(), nodes.figures(), raw.figures()]);
    }
    println!("\n{}: {PAYLOAD} bytes, medians of {} rounds", engine.name(), plan.rounds);
    println!("  {:<20}{:>12}{:>12}{:>12}{:>8}  target", "figure", "raw loop", "client", "two nodes", "ratio");
    row("messages a second", &rounds, |figures| figures.per_second, Some(Target::AtLeast(0.8)));
    row("latency p50, us", &rounds, |figures| figures.latency.p50, None);
    row("latency p99, us", &rounds, |figures| figures.latency.p99, Some(Target::AtMost(1.3)));
    true
}

/// The target of the ratio of the two nodes to the client.
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

fn row(name: &str, rounds: &[[Figures; 3]], figure: fn(&Figures) -> f64, target: Option<Target>) {
    let of = |which: usize| median(rounds.iter().map(|round| figure(&round[which])).collect());
    // The ratio within one round, since the load on the machine affected both.
    let ratio = median(rounds.iter().map(|[client, nodes, _]| figure(nodes) / figure(client)).collect());
    let met = |met| if met { "met" } else { "not met" };
    let verdict = match target {
        Some(Target::AtLeast(limit)) => format!("at least {limit}: {}", met(ratio >= limit)),
        Some(Target::AtMost(limit)) => format!("at most {limit}: {}", met(ratio <= limit)),
        None => String::new(),
    };
    println!("  {name:<20}{:>12.0}{:>12.0}{:>12.0}{ratio:>8.2}  {verdict}", of(2), of(0), of(1));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A candidate.
trait Publish {
    /// Publishes at least one message and at most `most`, and returns their number.
    fn publish(&mut self, most: u64) -> impl Future<Output = u64>;

    /// Returns the arrivals at the receiver.
    fn arrivals(&self) -> Arc<Arrivals>;
}

/// A candidate and its measurements in a round so far.
struct Measured<P> {
    publisher: P,
    arrivals: Arc<Arrivals>,
    messages: u64,
    took: Duration,
    latencies: Vec<Duration>,
}

impl<P: Publish> Measured<P> {
    fn new(publisher: P) -> Self {
        let arrivals = publisher.arrivals();
        Measured { publisher, arrivals, messages: 0, took: Duration::ZERO, latencies: Vec::new() }
    }

    /// Runs one slice of both measurements.
    async fn measure(&mut self, plan: Plan, counts: bool) {
        let (messages, took) = self.flood(plan.duration / SLICES).await;
        let latencies = self.one_by_one(plan.messages / SLICES as usize).await;
        if counts {
            self.messages += messages;
            self.took += took;
            self.latencies.extend(latencies);
        }
    }

    /// Publishes as many messages as possible. Returns their number, and the time until all arrived.
    async fn flood(&mut self, duration: Duration) -> (u64, Duration) {
        let (first, began) = (self.arrivals.count(), self.arrivals.now());
        let mut sent = first;
        while self.arrivals.now() - began < duration {
            self.arrivals.at_least((sent + 1).saturating_sub(WINDOW)).await;
            sent += self.publisher.publish(WINDOW - (sent - self.arrivals.count())).await;
        }
        self.arrivals.at_least(sent).await;
        (sent - first, self.arrivals.now() - began)
    }

    /// Returns the latency of each of so many messages.
    async fn one_by_one(&mut self, messages: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(messages);
        for _ in 0..messages {
            let (before, sent) = (self.arrivals.count(), self.arrivals.now());
            self.publisher.publish(1).await;
            self.arrivals.at_least(before + 1).await;
            latencies.push(self.arrivals.last().saturating_sub(sent));
        }
        latencies
    }

    fn figures(self) -> Figures {
        Figures { per_second: self.messages as f64 / self.took.as_secs_f64(), latency: Latency::of(self.latencies) }
    }
}
