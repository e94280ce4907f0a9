//! `bennu-bench-pipeline`: items a second through a pipeline, beside a stream with the same bound in the same run.
//!
//! This file owns the order of things and the table. [`rival`] has what is compared, [`work`] what is done with an item.

mod rival;
mod work;

use rival::Rival;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use work::{Sum, Work};

// As in the binaries that serve.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is worth a look: at least so much of the yardstick.
const TARGET: f64 = 0.7;

/// The bounds on how many items are worked at at once.
const BOUNDS: [usize; 2] = [10, 1000];

/// A round goes around in so many slices, so that whatever else the machine does falls on all of them alike.
const SLICES: u32 = 10;

const USAGE: &str = "usage: bennu-bench-pipeline [nothing|yield|compute] [--rounds N] [--threads N] [--quick]";

/// How much is measured.
#[derive(Clone, Copy)]
struct Plan {
    /// Only this work.
    work: Option<Work>,
    rounds: usize,
    threads: usize,
    /// Of one slice, in CPU time of the yardstick.
    duration: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(plan) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(plan.threads).enable_time().build();
    let runtime = runtime.expect("the system has threads");
    println!(
        "items a second, medians of {} rounds, {} threads; target: {TARGET} of the yardstick",
        plan.rounds, plan.threads
    );
    for work in Work::ALL.into_iter().filter(|work| plan.work.is_none_or(|only| only == *work)) {
        for bound in BOUNDS {
            println!("\nwork that {}, at most {bound} at once", work.name());
            println!("  {:<22}{:>12}{:>10}{:>8}  target", "", "a second", "CPU ns", "ratio");
            let concurrent =
                [Rival::ForEachConcurrent, Rival::Tasks, Rival::Workers, Rival::Pushed, Rival::PushedBatches];
            compare(&runtime, plan, work, bound, &concurrent);
            compare(&runtime, plan, work, bound, &[Rival::ForEachChunk, Rival::Consumer]);
        }
    }
    ExitCode::SUCCESS
}

fn read(arguments: &[String]) -> Option<Plan> {
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

/// Measures all of them, round by round, and prints their rows. The first is the yardstick.
fn compare(runtime: &tokio::runtime::Runtime, plan: Plan, work: Work, bound: usize, rivals: &[Rival]) {
    // As many as the yardstick does in the time, of its CPU: what else the machine does must not count. This also warms up.
    let mut items = 1_000;
    while measure(runtime, rivals[0], items, bound, work).cpu < plan.duration {
        items = items * 3 / 2;
    }
    let mut rounds: Vec<Vec<Cost>> = Vec::new();
    for _ in 0..plan.rounds {
        let mut round: Vec<Cost> = rivals.iter().map(|_| Cost::default()).collect();
        for _ in 0..SLICES {
            for (rival, cost) in rivals.iter().zip(&mut round) {
                cost.add(&measure(runtime, *rival, items, bound, work));
            }
        }
        rounds.push(round);
    }
    for (index, rival) in rivals.iter().enumerate() {
        let of = |figure: fn(&[Cost], usize) -> f64| median(rounds.iter().map(|round| figure(round, index)).collect());
        let per_round = items as f64 * f64::from(SLICES);
        let per_second = of(|round, index| 1.0 / round[index].wall.as_secs_f64()) * per_round;
        let cpu = of(|round, index| round[index].cpu.as_secs_f64()) * 1e9 / per_round;
        // What the machine did to a round it did to all of them.
        let ratio = of(|round, index| round[0].wall.as_secs_f64() / round[index].wall.as_secs_f64());
        let verdict = match rival {
            Rival::ForEachConcurrent | Rival::ForEachChunk => "the yardstick",
            Rival::Tasks => "for comparison",
            _ if ratio >= TARGET => "met",
            _ => "not met",
        };
        println!("  {:<22}{per_second:>12.0}{cpu:>10.0}{ratio:>8.2}  {verdict}", rival.name());
    }
}

/// What it took to work at all items.
#[derive(Default)]
struct Cost {
    wall: Duration,
    /// Of all threads.
    cpu: Duration,
}

impl Cost {
    fn add(&mut self, other: &Cost) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

fn measure(runtime: &tokio::runtime::Runtime, rival: Rival, items: u64, bound: usize, work: Work) -> Cost {
    let sum = Sum::default();
    let (started, before) = (Instant::now(), cpu());
    // In a task of its own, as everything else is.
    let run = runtime.spawn(rival.run(items, bound, work, sum.clone()));
    runtime.block_on(run).expect("it does not panic");
    let cost = Cost { wall: started.elapsed(), cpu: cpu().saturating_sub(before) };
    assert!(sum.is_complete(items), "{} left items out", rival.name());
    cost
}

/// The CPU time of this process's threads, as the scheduler counts it. None of them ends meanwhile.
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
