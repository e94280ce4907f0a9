//! Stages with demand: GenStage for Rust.
//!
//! Data flows from producers to consumers, and demand flows back. A consumer says how many items it can take, and never
//! gets more; so the slowest stage sets the pace, and what nobody can take yet waits in one place, which is bounded.
//!
//! ```
//! use bennu_pipeline::{Demand, Pipeline};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut pipeline = Pipeline::new();
//! let pushes = pipeline.queue("pushes").start()?;
//! pipeline.workers("deliver").subscribe(&pushes, Demand::max(10)).start(|user: u64| async move {
//!     tokio::time::sleep(Duration::from_secs(1)).await; // ten at a time
//!     println!("delivered to user:{user}");
//! })?;
//!
//! for user in 1..=50 {
//!     pushes.push(user).await?; // from any task, as often as you like
//! }
//! pipeline.drain(Duration::from_secs(10)).await?; // before the process ends
//! # Ok(())
//! # }
//! ```

mod buffer;
mod consumer;
mod crash;
mod delivery;
mod demand;
mod dispatcher;
mod exchange;
mod inlets;
pub mod kind;
mod life;
mod outlet;
mod output;
mod pipeline;
mod producer;
mod producer_consumer;
mod queue;
mod restart;
mod source;
mod stage;
mod stop;
pub mod telemetry;
mod worker;

pub use buffer::{Buffer, Keep};
pub use consumer::Consumer;
pub use crash::{Crash, Handled, Outcome, handled};
pub use delivery::Delivery;
pub use demand::Demand;
pub use dispatcher::hash;
pub use life::StageFailed;
pub use output::Output;
pub use pipeline::{DrainError, Pipeline};
pub use producer::{FromIter, Producer, from_iter};
pub use producer_consumer::{Made, ProducerConsumer};
pub use queue::{PushError, Queue, TryPushError};
pub use source::Source;
pub use stage::{Gives, Lives, Stage, StartError, Takes};
pub use worker::Worker;
