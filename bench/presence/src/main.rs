//! What 20,000 presences in one topic cost: joining, listing, memory, one more, and a node that starts cold beside them, as a
//! process of its own, over Redis.
//!
//! `bennu-bench-presence [PRESENCES]`.

use bennu_tracker::{Diff, DiffHandler, Options, Tracked, Tracker};
use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};
use bennu_pubsub_redis::Redis;
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

/// A part of the joins that is timed by itself.
const PART: usize = 1000;

/// Bytes that a presence may take.
const MEMORY: usize = 1024;
/// How long a cold node may take to know all.
const COLD: Duration = Duration::from_secs(2);
/// How much longer one of the last joins may take than one of the first.
const GROWTH: f64 = 2.0;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, url, presences] = &arguments[..]
        && role == "cold"
    {
        return cold(url, presences.parse()?).await;
    }
    let presences: usize = arguments.first().map_or(Ok(20_000), |text| text.parse())?;
    warm(presences.max(2 * PART)).await
}

async fn warm(presences: usize) -> Result<(), Box<dyn Error>> {
    let Some(server) = start_redis() else { return Err("redis-server is not installed".into()) };
    let url = format!("redis://127.0.0.1:{}", server.port());
    let changes = Changes::default();
    let pubsub = join("warm", &url)?;
    let tracker = Tracker::start(&pubsub, "bench", Options::default(), changes.clone())?;

    let keys: Vec<String> = (0..presences).map(|n| format!("user:{n}")).collect();
    let mut guards: Vec<Tracked> = Vec::with_capacity(presences);
    let before = resident()?;
    let mut parts = Vec::new();
    for part in keys.chunks(PART) {
        let began = Instant::now();
        for key in part {
            guards.push(tracker.track(TOPIC, key, &json!({ "online_at": 1_700_000_000 }))?);
        }
        parts.push(began.elapsed() / part.len() as u32);
        tokio::task::yield_now().await;
    }
    let total: Duration = parts.iter().map(|each| *each * PART as u32).sum();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    println!("joining {presences} into one topic    {total:>10.2?}");
    println!("  each of the first {PART}          {first:>10.2?}");
    let growth = last.as_secs_f64() / first.as_secs_f64();
    println!("  each of the last {PART}           {last:>10.2?}    {}", verdict(growth <= GROWTH));

    tokio::time::sleep(Options::default().broadcast_period * 2).await;
    println!("  diffs told                     {:>10}", changes.told.load(Ordering::Relaxed));
    let memory = (resident()? - before) / presences;
    println!("memory, bytes a presence         {memory:>10}    {}", verdict(memory <= MEMORY));

    println!("list                             {:>10.2?}", median(|| tracker.list(TOPIC)));
    let read = || tracker.list(TOPIC).iter().map(|one| one.meta().len()).sum::<usize>();
    println!("list, and every meta read        {:>10.2?}", median(read));
    println!("count                            {:>10.2?}", median(|| tracker.count(TOPIC)));
    let one = || tracker.track(TOPIC, "one more", &json!({ "online_at": 1 })).map(Tracked::untrack);
    println!("one join and leave               {:>10.2?}", median(|| one().expect("it is tracked")));
    let listed = || {
        let held = tracker.list(TOPIC);
        one().expect("it is tracked");
        drop(held);
    };
    println!("  while somebody reads a list    {:>10.2?}", median(listed));

    let program = std::env::current_exe()?;
    let arguments = ["cold".to_owned(), url, presences.to_string()];
    let output = tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let took = Duration::from_micros(String::from_utf8(output.stdout)?.trim().parse()?);
    println!("a cold node is in sync after     {took:>10.2?}    {}", verdict(took <= COLD));
    Ok(())
}

/// The other node: prints how many microseconds it took from its start until it listed all.
async fn cold(url: &str, presences: usize) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let changes = Changes::default();
    let pubsub = join("cold", url)?;
    let tracker = Tracker::start(&pubsub, "bench", Options::default(), changes.clone())?;
    while tracker.count(TOPIC) < presences {
        changes.rung.notified().await;
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

#[derive(Clone, Default)]
struct Changes {
    told: Arc<AtomicUsize>,
    rung: Arc<Notify>,
}

impl DiffHandler for Changes {
    async fn handle_diff(&self, _: Diff) {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.rung.notify_one();
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

/// Of a thousand calls.
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

/// Bytes of heap and stacks that are resident.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("the kernel tells no RssAnon")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
