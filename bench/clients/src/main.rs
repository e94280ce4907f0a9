//! Measures many clients of `bennu-client` in one process: the memory of an idle joined client, the rate of connecting,
//! and the broadcasts received per second of CPU time.
//!
//! `bennu-bench run clients` starts it beside a server: `bennu-bench-clients --port P --clients N --seconds S`. It
//! prints one line for each figure, `name value`. It is a separate program, so that its memory is that of the clients
//! and the benchmark has no dependency on Bennu.

mod process;

use bennu_client::{ChannelSender, Client, ClientChannel};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// jemalloc returns the pages of dropped clients to the system, where glibc keeps them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The topic that all clients join.
const TOPIC: &str = "bench:a";
/// These clients connect and are dropped before the measurement, so that the fixed memory of a process does not count.
const WARM_UP_CLIENTS: usize = 100;
/// The concurrent attempts to connect.
const CONCURRENT_CONNECTS: usize = 50;
/// The broadcasts that not all clients have received yet.
const WINDOW: u64 = 16;

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Arguments {
    port: u16,
    clients: usize,
    phase: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let Arguments { port, clients, phase } = arguments()?;
    process::raise_open_files()?;
    let url = format!("ws://127.0.0.1:{port}/socket");

    drop(connect(&url, WARM_UP_CLIENTS).await?);
    let before = process::memory_settled().await?;

    let start = Instant::now();
    let joined = connect(&url, clients).await?;
    print_figure("clients_per_second", clients as f64 / start.elapsed().as_secs_f64());
    let idle = process::memory_settled().await?;
    print_figure("clients_rss_bytes", (idle.resident - before.resident) / clients as f64);
    print_figure("clients_anonymous_bytes", (idle.anonymous - before.anonymous) / clients as f64);
    print_figure("clients_start_kib", before.resident / 1024.0);
    print_figure("clients_peak_kib", idle.resident / 1024.0);

    let (received, cpu) = receive(joined, phase).await?;
    print_figure("clients_received_per_cpu_second", received as f64 / cpu.as_secs_f64());
    Ok(())
}

fn print_figure(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Connects and joins `count` clients.
async fn connect(url: &str, count: usize) -> Result<Vec<(Client, ClientChannel)>, Error> {
    let attempts = stream::iter(0..count).map(|_| async {
        let client = Client::connect(url).await?;
        let channel = client.join(TOPIC, json!({})).await?;
        Ok::<_, Error>((client, channel))
    });
    attempts.buffer_unordered(CONCURRENT_CONNECTS).try_collect().await
}

/// Broadcasts from one client for the phase; returns the number of received messages and the CPU time.
async fn receive(joined: Vec<(Client, ClientChannel)>, phase: Duration) -> Result<(u64, Duration), Error> {
    let count = joined.len() as u64;
    let received = Arc::new(AtomicU64::new(0));
    let sender = joined.first().ok_or("--clients must be at least 1")?.1.sender();
    for (client, mut channel) in joined {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            while channel.next().await.is_some() {
                received.fetch_add(1, Ordering::Relaxed);
            }
            drop(client);
        });
    }
    broadcast(&sender, &received, count, phase / 3).await?;
    let (cpu, before) = (process::cpu()?, received.load(Ordering::Relaxed));
    broadcast(&sender, &received, count, phase).await?;
    Ok((received.load(Ordering::Relaxed) - before, process::cpu()?.saturating_sub(cpu)))
}

/// Broadcasts for `time`, up to [`WINDOW`] at once, and waits until every client has received all of them.
async fn broadcast(sender: &ChannelSender, received: &AtomicU64, count: u64, time: Duration) -> Result<(), Error> {
    // 100 bytes of JSON, like the payload of the load generator.
    let payload: Value = json!({ "d": "d".repeat(92) });
    let deadline = Instant::now() + time;
    let limit = deadline + Duration::from_secs(30);
    let start = received.load(Ordering::Relaxed);
    let mut sent = 0;
    while Instant::now() < deadline || received.load(Ordering::Relaxed) - start < sent * count {
        let done = (received.load(Ordering::Relaxed) - start) / count;
        while Instant::now() < deadline && sent - done < WINDOW {
            sender.send("broadcast", payload.clone())?;
            sent += 1;
        }
        if Instant::now() > limit {
            return Err("a broadcast did not reach all clients within 30 s".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).ok_or_else(|| format!("the option {name} is missing"))
    };
    Ok(Arguments {
        port: value("--port")?.parse()?,
        clients: value("--clients")?.parse()?,
        phase: Duration::from_secs_f64(value("--seconds")?.parse()?),
    })
}
