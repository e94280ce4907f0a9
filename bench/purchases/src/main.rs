//! `bennu-bench-purchases`: purchases that the store confirms a second, through its committer, beside the same
//! statements in a transaction for each purchase and beside the same statements in large transactions by hand.
//!
//! This file owns the rounds and the table. [`stock`] makes the databases, [`way`] has the three ways, [`disk`] measures
//! the disk that all commits wait for.

mod disk;
mod stock;
mod way;

use std::path::PathBuf;
use std::time::Duration;
use stock::{Engine, Stocked};
use way::{Measured, Way};

// The allocator of the store.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The least ratio of the committer to a transaction each.
const TARGET_EACH: f64 = 5.0;
/// The least ratio of the committer to large transactions by hand.
const TARGET_BATCHES: f64 = 0.6;

const USAGE: &str = "usage: bennu-bench-purchases [sqlite|postgres] [--rounds N] [--seconds N] [--buyers N] [--directory PATH] [--quick]";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The options of a run.
struct Plan {
    engines: Vec<Engine>,
    rounds: usize,
    duration: Duration,
    buyers: usize,
    /// The parent of the databases' files.
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let plan = parse(std::env::args().skip(1)).ok_or(USAGE)?;
    std::fs::create_dir_all(&plan.directory)?;
    let synced = disk::sync_time(&plan.directory)?;
    println!(
        "{} buyers at once, medians of {} rounds of {:?}\n8 KiB written and synced: {:.2} ms, median of {} in {}",
        plan.buyers,
        plan.rounds,
        plan.duration,
        synced.as_secs_f64() * 1000.0,
        disk::WRITES,
        plan.directory.display()
    );
    for engine in &plan.engines {
        compare(&plan, *engine).await?;
    }
    Ok(())
}

/// Measures the three ways in turn, round by round, and prints their medians.
async fn compare(plan: &Plan, engine: Engine) -> Result<(), Error> {
    let server = engine.start(&plan.directory).await?;
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        let mut round = Vec::new();
        for way in Way::ALL {
            let stocked = Stocked::create(&server).await?;
            round.push(way.measure(&stocked, plan.buyers, plan.duration).await?);
        }
        rounds.push(round);
    }
    println!("\n{:<34}{:>12}{:>10}{:>10}", engine.name(), "a second", "p50 ms", "p99 ms");
    for (index, way) in Way::ALL.into_iter().enumerate() {
        let of = |figure: fn(&Measured) -> f64| median(rounds.iter().map(|round| figure(&round[index])).collect());
        let rate = of(Measured::a_second);
        let [p50, p99] = [of(|measured| measured.quantile_ms(0.5)), of(|measured| measured.quantile_ms(0.99))];
        println!("  {:<32}{rate:>12.0}{p50:>10.1}{p99:>10.1}", way.name());
    }
    for (other, target) in [(1, TARGET_EACH), (2, TARGET_BATCHES)] {
        let ratios: Vec<f64> = rounds.iter().map(|round| round[0].a_second() / round[other].a_second()).collect();
        let ratio = median(ratios);
        let result = if ratio >= target { "met" } else { "not met" };
        println!("  {:<32}{ratio:>12.2}  target {target}: {result}", format!("ratio to {}", Way::ALL[other].name()));
    }
    Ok(())
}

fn parse(arguments: impl Iterator<Item = String>) -> Option<Plan> {
    let mut plan = Plan {
        engines: Vec::new(),
        rounds: 5,
        duration: Duration::from_secs(3),
        buyers: 1000,
        // A temporary directory may be in memory, where a sync takes no time.
        directory: PathBuf::from("target/bench-purchases"),
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse().ok().filter(|number| *number > 0);
        match argument.as_str() {
            "sqlite" => plan.engines.push(Engine::Sqlite),
            "postgres" => plan.engines.push(Engine::Postgres),
            "--rounds" => plan.rounds = number()?,
            "--seconds" => plan.duration = Duration::from_secs(number()? as u64),
            "--buyers" => plan.buyers = number()?,
            "--directory" => plan.directory = arguments.next()?.into(),
            "--quick" => (plan.rounds, plan.duration) = (1, Duration::from_millis(300)),
            _ => return None,
        }
    }
    if plan.engines.is_empty() {
        plan.engines = vec![Engine::Sqlite, Engine::Postgres];
    }
    plan.directory = std::path::absolute(plan.directory).ok()?;
    Some(plan)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
