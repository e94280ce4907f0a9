//! `bennu-bench-pipeline`: items a second through a pipeline, compared with a stream of the same bound in the same run.
//!
//! This file owns the rounds and the table. [`variant`] has the ways that are compared, [`work`] the work at an item.

mod variant;
mod work;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use variant::Variant;
use work::{Sum, Work};

// The allocator of the servers.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The least ratio to the baseline, for items of 5 µs and more.
const TARGET: f64 = 0.7;

/// The most items that are worked at at once.
const BOUNDS: [usize; 2] = [10, 1000];

/// The slices of a round. Other load of the machine then affects all variants alike.
const SLICES: u32 = 10;

const USAGE: &str = "usage: bennu-bench-pipeline [nothing|yield|compute] [--rounds N] [--threads N] [--quick]";

/// The options of a run.
#[derive(Clone, Copy)]
struct Plan {
    /// The only work to measure; all of them without it.
    work: Option<Work>,
    rounds: usize,
    threads: usize,
    /// The length of a slice, in CPU time of the baseline.
    duration: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(plan) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(plan.threads).enable_time().build();
    let runtime = runtime.expect("the system can start threads");
    println!(
        "items a second, medians of {} rounds, {} threads; target for items of 5 us and more: {TARGET} of the baseline",
        plan.rounds, plan.threads
    );
    for work in Work::ALL.into_iter().filter(|work| plan.work.is_none_or(|only| only == *work)) {
        for bound in BOUNDS {
            println!("\nwork that {}, at most {bound} at once", work.name());
            println!("  {:<22}{:>12}{:>10}{:>8}  target", "", "a second", "CPU ns", "ratio");
            let concurrent =
                [Variant::ForEachConcurrent, Variant::Tasks, Variant::Workers, Variant::Pushed, Variant::PushedBatches];
            compare(&runtime, plan, work, bound, &concurrent);
            compare(&runtime, plan, work, bound, &[Variant::ForEachChunk, Variant::Consumer]);
        }
    }
    ExitCode::SUCCESS
}

fn parse(arguments: &[String]) -> Option<Plan> {
    let mut plan = Plan { work: None, rounds: 7, threads: 2, duration: Duration::from_millis(5) };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "nothing" => plan.work = Some(Work::Nothing),
            "yield" => plan.work = Some(Work::Yield),
            "compute" => plan.work = Some(Work::Compute),
            "--rounds" => plan.rounds = arguments.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            "--threads" => plan.threads = arguments.next()?.parse().ok().filter(|threads| *threads > 0)?,
            "--quick" => plan = Plan { rounds: 1, duration: Duration::from_millis(1), ..plan },
            _ => return None,
        }
    }
    Some(plan)
}

/// Measures all variants, round by round, and prints their rows. The first is the baseline.
fn compare(runtime: &tokio::runtime::Runtime, plan: Plan, work: Work, bound: usize, variants: &[Variant]) {
    // As many items as the baseline does in the duration, in CPU time, so that other load does not count. It also warms up.
    let mut items = 1_000;
    while measure(runtime, variants[0], items, bound, work).cpu < plan.duration {
        items = items * 3 / 2;
    }
    let mut rounds: Vec<Vec<Cost>> = Vec::new();
    for _ in 0..plan.rounds {
        let mut round: Vec<Cost> = variants.iter().map(|_| Cost::default()).collect();
        for _ in 0..SLICES {
            for (variant, cost) in variants.iter().zip(&mut round) {
                cost.add(&measure(runtime, *variant, items, bound, work));
            }
        }
        rounds.push(round);
    }
    for (index, variant) in variants.iter().enumerate() {
        let of = |figure: fn(&[Cost], usize) -> f64| median(rounds.iter().map(|round| figure(round, index)).collect());
        let per_round = items as f64 * f64::from(SLICES);
        let per_second = of(|round, index| 1.0 / round[index].wall.as_secs_f64()) * per_round;
        let cpu = of(|round, index| round[index].cpu.as_secs_f64()) * 1e9 / per_round;
        // Other load of the machine affects all variants of a round alike.
        let ratio = of(|round, index| round[0].wall.as_secs_f64() / round[index].wall.as_secs_f64());
        let verdict = match variant {
            Variant::ForEachConcurrent | Variant::ForEachChunk => "the baseline",
            Variant::Tasks => "for comparison",
            _ if !work.has_target() => "no target",
            _ if ratio >= TARGET => "met",
            _ => "not met",
        };
        println!("  {:<22}{per_second:>12.0}{cpu:>10.0}{ratio:>8.2}  {verdict}", variant.name());
    }
}

/// The time for all items.
#[derive(Default)]
struct Cost {
    wall: Duration,
    /// The CPU time of all threads.
    cpu: Duration,
}

impl Cost {
    fn add(&mut self, other: &Cost) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

fn measure(runtime: &tokio::runtime::Runtime, variant: Variant, items: u64, bound: usize, work: Work) -> Cost {
    let sum = Sum::default();
    let (started, before) = (Instant::now(), cpu());
    // In a task, since all other tasks run on the same workers.
    let run = runtime.spawn(variant.run(items, bound, work, sum.clone()));
    runtime.block_on(run).expect("the run does not panic");
    let cost = Cost { wall: started.elapsed(), cpu: cpu().saturating_sub(before) };
    assert!(sum.is_complete(items), "{} did not work at all items", variant.name());
    cost
}

/// Returns the CPU time of this process's threads, as the scheduler counts it. No thread ends during a run.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let schedstat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
