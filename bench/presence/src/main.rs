//! The cost of 20,000 presences in one topic: joins, lists, memory, one further join, and the synchronization of a new
//! node in a process of its own, over Redis.
//!
//! `bennu-bench-presence [PRESENCES]`. The first process tracks the presences and measures; it starts itself again as
//! the new node. Three results are compared with a limit and reported as met or not met.

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};
use bennu_pubsub_redis::Redis;
use bennu_tracker::{Diff, DiffHandler, Options, PresenceGuard, Tracker};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TOPIC: &str = "room:lobby";

/// The joins that are timed together.
const BATCH: usize = 1000;

/// The limit of the memory of a presence, in bytes.
const MAX_BYTES: usize = 1024;
/// The limit of the time until a new node lists all presences.
const MAX_SYNC: Duration = Duration::from_secs(2);
/// The limit of the ratio between the time of one of the last joins and that of one of the first.
const MAX_GROWTH: f64 = 2.0;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, url, presences] = &arguments[..]
        && role == "new-node"
    {
        return new_node(url, presences.parse()?).await;
    }
    let presences: usize = arguments.first().map_or(Ok(20_000), |text| text.parse())?;
    measure(presences.max(2 * BATCH)).await
}

async fn measure(presences: usize) -> Result<(), Box<dyn Error>> {
    let Some(server) = start_redis() else { return Err("could not start redis-server: is it installed?".into()) };
    let url = format!("redis://127.0.0.1:{}", server.port());
    let changes = Changes::default();
    let pubsub = join("first", &url)?;
    let tracker = Tracker::start(&pubsub, "bench", Options::default(), changes.clone())?;

    let keys: Vec<String> = (0..presences).map(|n| format!("user:{n}")).collect();
    let mut guards: Vec<PresenceGuard> = Vec::with_capacity(presences);
    let before = resident()?;
    let mut batches = Vec::new();
    for batch in keys.chunks(BATCH) {
        let began = Instant::now();
        for key in batch {
            guards.push(tracker.track(TOPIC, key, &json!({ "online_at": 1_700_000_000 }))?);
        }
        batches.push(began.elapsed() / batch.len() as u32);
        tokio::task::yield_now().await;
    }
    let total: Duration = batches.iter().map(|each| *each * BATCH as u32).sum();
    let (first, last) = (batches[0], batches[batches.len() - 1]);
    println!("joining {presences} into one topic    {total:>10.2?}");
    println!("  each of the first {BATCH}          {first:>10.2?}");
    let growth = last.as_secs_f64() / first.as_secs_f64();
    println!("  each of the last {BATCH}           {last:>10.2?}    {}", verdict(growth <= MAX_GROWTH));

    tokio::time::sleep(Options::default().broadcast_period * 2).await;
    println!("  diffs delivered                {:>10}", changes.diffs.load(Ordering::Relaxed));
    let memory = (resident()? - before) / presences;
    println!("memory, bytes a presence         {memory:>10}    {}", verdict(memory <= MAX_BYTES));

    println!("list                             {:>10.2?}", median(|| tracker.list(TOPIC)));
    let read = || tracker.list(TOPIC).iter().map(|one| one.meta().len()).sum::<usize>();
    println!("list, and every meta read        {:>10.2?}", median(read));
    println!("count                            {:>10.2?}", median(|| tracker.count(TOPIC)));
    let one = || tracker.track(TOPIC, "one more", &json!({ "online_at": 1 })).map(PresenceGuard::untrack);
    println!(
        "one join and leave               {:>10.2?}",
        median(|| one().expect("the presence is within the limits"))
    );
    let while_read = || {
        let snapshot = tracker.list(TOPIC);
        one().expect("the presence is within the limits");
        drop(snapshot);
    };
    println!("  while a snapshot is held       {:>10.2?}", median(while_read));

    let program = std::env::current_exe()?;
    let arguments = ["new-node".to_owned(), url, presences.to_string()];
    let output = tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let took = Duration::from_micros(String::from_utf8(output.stdout)?.trim().parse()?);
    println!("a new node is in sync after      {took:>10.2?}    {}", verdict(took <= MAX_SYNC));
    Ok(())
}

/// Runs the new node: prints the microseconds from its start until it lists all presences.
async fn new_node(url: &str, presences: usize) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let changes = Changes::default();
    let pubsub = join("new", url)?;
    let tracker = Tracker::start(&pubsub, "bench", Options::default(), changes.clone())?;
    while tracker.count(TOPIC) < presences {
        changes.notify.notified().await;
    }
    println!("{}", began.elapsed().as_micros());
    tracker.leave().await;
    pubsub.leave().await;
    Ok(())
}

fn join(name: &str, url: &str) -> Result<PubSub, Box<dyn Error>> {
    Ok(PubSub::new(Redis::new(url)?.join(NodeName::new(name))))
}

struct RedisServer;

impl Program for RedisServer {
    const NAME: &'static str = "redis-server";
}

fn start_redis() -> Option<Process<RedisServer>> {
    let port = free_port();
    let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""];
    Process::start_with(port, arguments.map(str::to_owned).to_vec())
}

/// Counts the diffs, and notifies of each.
#[derive(Clone, Default)]
struct Changes {
    diffs: Arc<AtomicUsize>,
    notify: Arc<Notify>,
}

impl DiffHandler for Changes {
    async fn handle_diff(&self, _: Diff) {
        self.diffs.fetch_add(1, Ordering::Relaxed);
        self.notify.notify_one();
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

/// Returns the median time of a thousand calls.
fn median<R>(call: impl Fn() -> R) -> Duration {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let began = Instant::now();
            drop(black_box(call()));
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Returns the resident bytes of heap and stacks.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("/proc/self/status has no RssAnon")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
