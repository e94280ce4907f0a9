//! Sends 53 items to a consumer with a `max_demand` of 10 and a `min_demand` of 5: no batch has more than 5 items.
//!
//!     cargo run -p bennu-pipeline --example batches

use bennu_pipeline::{Consumer, Demand, HandlerResult, Pipeline, handled};
use std::time::Duration;
use tokio::sync::mpsc;

/// Returns the batches that the consumer received.
pub(crate) async fn batches(items: u32, demand: Demand) -> Result<Vec<Vec<u32>>, Box<dyn std::error::Error>> {
    let (sender, mut received) = mpsc::unbounded_channel();
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.queue("numbers").start()?;
    pipeline.consumer("inspect").subscribe(&numbers, demand).start(Inspect { batches: sender })?;
    for number in 1..=items {
        numbers.push(number).await?;
    }
    pipeline.drain(Duration::from_secs(5)).await?;
    let mut batches = Vec::new();
    received.recv_many(&mut batches, usize::MAX).await;
    Ok(batches)
}

#[derive(Clone)]
struct Inspect {
    batches: mpsc::UnboundedSender<Vec<u32>>,
}

impl Consumer<u32> for Inspect {
    async fn handle_events(&mut self, items: Vec<u32>) -> HandlerResult {
        self.batches.send(items)?;
        handled()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("53 items, max_demand 10, min_demand 5: batches of at most 5");
    for batch in batches(53, Demand::max(10).min(5)).await? {
        println!("  {}: {} to {}", batch.len(), batch[0], batch[batch.len() - 1]);
    }
    Ok(())
}
