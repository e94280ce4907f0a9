//! Sends 500 items that carry the time of their push. Their latency grows with the queue before them, and shrinks with the
//! number of workers.
//!
//!     cargo run -p bennu-pipeline --example latency

use bennu_pipeline::{Demand, Pipeline};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// An item with the time of its push. The time is taken before the push, so that waiting for room counts.
struct Timed {
    number: usize,
    pushed_at: Instant,
}

/// Returns the latency of each item from push to delivery, in the order of the pushes.
pub(crate) async fn latencies(items: usize, max_demand: usize) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let (sender, mut done) = mpsc::unbounded_channel();
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("timed").start()?;
    let work = move |item: Timed| {
        let sender = sender.clone();
        async move {
            sleep(Duration::from_millis(1)).await;
            sender.send((item.number, item.pushed_at.elapsed()))
        }
    };
    pipeline.workers("deliver").subscribe(&queue, Demand::max(max_demand)).start(work)?;
    for number in 0..items {
        queue.push(Timed { number, pushed_at: Instant::now() }).await?;
    }
    pipeline.drain(Duration::from_secs(60)).await?;
    let mut latencies = vec![Duration::ZERO; items];
    while let Some((number, latency)) = done.recv().await {
        latencies[number] = latency;
    }
    Ok(latencies)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for max_demand in [1, 10, 100] {
        let latencies = latencies(500, max_demand).await?;
        let longest = latencies.iter().max().copied().unwrap_or_default();
        println!("\n500 items of a millisecond each, max_demand {max_demand}: push to delivery");
        for number in (0..=500).step_by(100).map(|number| number.max(1)) {
            let latency = latencies[number - 1];
            let bar = "#".repeat((latency.as_secs_f64() / longest.as_secs_f64() * 50.0) as usize);
            println!("  item {number:>3} {:>8.1} ms  {bar}", latency.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
