//! Many clients of `bennu-client` in one process: what an idle joined one costs in memory, how fast they connect, and
//! how many broadcasts they take in a second of CPU.
//!
//! `bennu-bench run clients` starts it beside a server: `bennu-bench-clients --port P --clients N --seconds S`. It prints
//! one line a figure, `name value`. A program of its own, so that its memory is the clients' and the benchmark depends on
//! nothing of Bennu.

mod process;

use bennu_client::{Channel, Client, Pusher};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Many small objects that come and go together: glibc keeps their pages, this gives them back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// All clients join this one.
const TOPIC: &str = "bench:a";
/// Come and go first, so that what every process touches once is not counted as clients.
const WARM_UP_CLIENTS: usize = 100;
/// Attempts under way.
const AT_A_TIME: usize = 50;
/// Broadcasts under way.
const WINDOW: u64 = 16;

type Failure = Box<dyn Error + Send + Sync>;

struct Arguments {
    port: u16,
    clients: usize,
    phase: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Arguments { port, clients, phase } = arguments()?;
    process::raise_open_files()?;
    let url = format!("ws://127.0.0.1:{port}/socket");

    drop(connect(&url, WARM_UP_CLIENTS).await?);
    let before = process::memory_settled().await?;

    let start = Instant::now();
    let joined = connect(&url, clients).await?;
    figure("clients_per_second", clients as f64 / start.elapsed().as_secs_f64());
    let idle = process::memory_settled().await?;
    figure("clients_rss_bytes", (idle.resident - before.resident) / clients as f64);
    figure("clients_anonymous_bytes", (idle.anonymous - before.anonymous) / clients as f64);
    figure("clients_start_kib", before.resident / 1024.0);
    figure("clients_peak_kib", idle.resident / 1024.0);

    let (received, cpu) = receive(joined, phase).await?;
    figure("clients_received_per_cpu_second", received as f64 / cpu.as_secs_f64());
    Ok(())
}

fn figure(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Connects and joins so many.
async fn connect(url: &str, count: usize) -> Result<Vec<(Client, Channel)>, Failure> {
    let attempts = stream::iter(0..count).map(|_| async {
        let client = Client::connect(url).await?;
        let channel = client.join(TOPIC, json!({})).await?;
        Ok::<_, Failure>((client, channel))
    });
    attempts.buffer_unordered(AT_A_TIME).try_collect().await
}

/// One client broadcasts for a while, all receive; returns how many messages were received, and the CPU time of it.
async fn receive(joined: Vec<(Client, Channel)>, phase: Duration) -> Result<(u64, Duration), Failure> {
    let count = joined.len() as u64;
    let received = Arc::new(AtomicU64::new(0));
    let pusher = joined.first().ok_or("no clients")?.1.pusher();
    for (client, mut channel) in joined {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            while channel.next().await.is_some() {
                received.fetch_add(1, Ordering::Relaxed);
            }
            drop(client);
        });
    }
    broadcast(&pusher, &received, count, phase / 3).await?;
    let (cpu, before) = (process::cpu()?, received.load(Ordering::Relaxed));
    broadcast(&pusher, &received, count, phase).await?;
    Ok((received.load(Ordering::Relaxed) - before, process::cpu()?.saturating_sub(cpu)))
}

/// Keeps broadcasts under way for `time`, and waits until all have arrived.
async fn broadcast(pusher: &Pusher, received: &AtomicU64, count: u64, time: Duration) -> Result<(), Failure> {
    // As long as the load generator's: 100 bytes of JSON.
    let payload: Value = json!({ "d": "d".repeat(92) });
    let deadline = Instant::now() + time;
    let patience = deadline + Duration::from_secs(30);
    let start = received.load(Ordering::Relaxed);
    let mut sent = 0;
    while Instant::now() < deadline || received.load(Ordering::Relaxed) - start < sent * count {
        let done = (received.load(Ordering::Relaxed) - start) / count;
        while Instant::now() < deadline && sent - done < WINDOW {
            pusher.send("broadcast", payload.clone())?;
            sent += 1;
        }
        if Instant::now() > patience {
            return Err("a broadcast did not reach all clients".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1)).ok_or_else(|| format!("{name} is missing"))
    };
    Ok(Arguments {
        port: value("--port")?.parse()?,
        clients: value("--clients")?.parse()?,
        phase: Duration::from_secs_f64(value("--seconds")?.parse()?),
    })
}
