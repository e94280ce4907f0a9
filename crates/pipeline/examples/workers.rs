//! Sends 50 items of a second each to ten workers: ten items finish each second.
//!
//!     cargo run -p bennu-pipeline --example workers

use bennu_pipeline::{Demand, Pipeline};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Returns the items that finished in each second. Calls `report` for each item when it has finished.
pub(crate) async fn groups(
    items: u32,
    max_demand: usize,
    report: impl Fn(u32, Duration) + Clone + Send + Sync + 'static,
) -> Result<BTreeMap<u64, Vec<u32>>, Box<dyn std::error::Error>> {
    let (sender, mut done) = mpsc::unbounded_channel();
    let started = Instant::now();
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.queue("numbers").start()?;
    let work = move |number: u32| {
        let (sender, report) = (sender.clone(), report.clone());
        async move {
            sleep(Duration::from_secs(1)).await;
            report(number, started.elapsed());
            sender.send((started.elapsed().as_secs(), number))
        }
    };
    pipeline.workers("work").subscribe(&numbers, Demand::max(max_demand)).start(work)?;
    for number in 1..=items {
        numbers.push(number).await?;
    }
    pipeline.drain(Duration::from_secs(60)).await?;
    let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    while let Some((second, number)) = done.recv().await {
        groups.entry(second).or_default().push(number);
    }
    Ok(groups)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("50 items, a second each, max_demand 10");
    let report = |number: u32, after: Duration| println!("  {:.3} s  item {number}", after.as_secs_f64());
    for (second, numbers) in groups(50, 10, report).await? {
        println!("second {second}: {} items", numbers.len());
    }
    Ok(())
}
