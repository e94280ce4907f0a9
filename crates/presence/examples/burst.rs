//! What 20,000 presences in one topic cost: joining, listing, memory, one more, and a node that starts cold beside
//! them.
//!
//! `cargo run --release -p bennu-presence --example burst [PRESENCES]`. Both nodes are in this process. What passes
//! between them is written as JSON, as it would be between two, and counted; the other node gets it without reading
//! that.

use bennu_presence::{Diff, DiffHandler, Options, Tracked, Tracker};
use bennu_pubsub::{
    Adapter, ConnectError, Delivery, InProcess, Inbox, Leaving, NodeName, PubSub, PublishError, Target,
};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A part of the joins that is timed by itself.
const PART: usize = 1000;

#[derive(Clone, Default)]
struct Diffs(Arc<AtomicUsize>);

impl DiffHandler for Diffs {
    async fn handle_diff(&self, _diff: Diff) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes what passes as JSON and counts the bytes.
struct Metered {
    inner: Box<dyn Adapter>,
    bytes: Arc<AtomicUsize>,
}

impl Adapter for Metered {
    fn node(&self) -> &NodeName {
        self.inner.node()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.inner.nodes()
    }

    fn start(&self, inbox: Inbox) {
        self.inner.start(inbox);
    }

    fn publish(&self, target: Target, topic: &str, delivery: &Delivery) -> Result<(), PublishError> {
        let bytes = delivery.to_bytes().map_or(0, |bytes| bytes.len());
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inner.publish(target, topic, delivery)
    }

    fn interest(&self, topic: &str, wanted: bool) {
        self.inner.interest(topic, wanted);
    }

    fn connect(&self, address: &str) -> Result<(), ConnectError> {
        self.inner.connect(address)
    }

    fn leave(&self) -> Leaving {
        self.inner.leave()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let presences: usize = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse())?;
    let presences = presences.max(2 * PART);
    let (nodes, bytes) = (InProcess::cluster(), Arc::new(AtomicUsize::new(0)));
    let node =
        |name: &str| PubSub::new(Metered { inner: Box::new(nodes.join(NodeName::new(name))), bytes: bytes.clone() });
    let (node_a, node_b, diffs) = (node("a"), node("b"), Diffs::default());
    let a = Tracker::start(&node_a, "burst", Options::default(), diffs.clone())?;

    let keys: Vec<String> = (0..presences).map(|n| format!("user:{n}")).collect();
    let mut guards: Vec<Tracked> = Vec::with_capacity(presences);
    let before = resident()?;
    let mut parts = Vec::new();
    for part in keys.chunks(PART) {
        let began = Instant::now();
        for key in part {
            guards.push(a.track("room:lobby", key, &json!({ "online_at": 1_700_000_000 }))?);
        }
        parts.push(began.elapsed() / part.len() as u32);
        tokio::task::yield_now().await;
    }
    let total: Duration = parts.iter().map(|each| *each * PART as u32).sum();
    println!("joining {presences} into one topic    {total:>10.2?}");
    println!("  each of the first {PART}          {:>10.2?}", parts[0]);
    println!("  each of the last {PART}           {:>10.2?}", parts[parts.len() - 1]);

    tokio::time::sleep(Options::default().broadcast_period * 2).await;
    println!("  diffs told                     {:>10}", diffs.0.load(Ordering::Relaxed));
    println!("  KB broadcast                   {:>10}", bytes.load(Ordering::Relaxed) / 1000);
    println!("memory, bytes a presence         {:>10}", (resident()? - before) / presences);

    println!("list                             {:>10.2?}", median(|| a.list("room:lobby")));
    let read = || a.list("room:lobby").iter().map(|one| one.meta().len()).sum::<usize>();
    println!("list, and every meta read        {:>10.2?}", median(read));
    println!("count                            {:>10.2?}", median(|| a.count("room:lobby")));
    let one = || a.track("room:lobby", "one more", &json!({ "online_at": 1 })).map(Tracked::untrack);
    println!("one join and leave               {:>10.2?}", median(|| one().expect("it is tracked")));
    let listed = || {
        let held = a.list("room:lobby");
        one().expect("it is tracked");
        drop(held);
    };
    println!("  while somebody reads a list    {:>10.2?}", median(listed));

    bytes.store(0, Ordering::Relaxed);
    let began = Instant::now();
    let b = Tracker::start(&node_b, "burst", Options::default(), ())?;
    while b.count("room:lobby") < presences {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("a cold node is in sync after     {:>10.2?}", began.elapsed());
    println!("  KB transferred                 {:>10}", bytes.load(Ordering::Relaxed) / 1000);

    let began = Instant::now();
    a.leave().await;
    while b.count("room:lobby") > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("a goodbye is known after         {:>10.2?}", began.elapsed());
    Ok(())
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
