//! Stages with demand: GenStage for Rust.
//!
//! Items flow from producers to consumers, and demand flows back. A consumer requests items, and never receives more than it
//! has requested. So the slowest stage sets the pace, and items without a request wait in one buffer, which is bounded.
//!
//! A queue that any task pushes into, and workers that deliver ten items at a time, each in a task of its own:
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
//!     tokio::time::sleep(Duration::from_secs(1)).await;
//!     println!("delivered to user:{user}");
//! })?;
//!
//! for user in 1..=50 {
//!     pushes.push(user).await?; // from any task, through a clone of the handle
//! }
//! pipeline.drain(Duration::from_secs(10)).await?; // before the process ends
//! # Ok(())
//! # }
//! ```
//!
//! A producer that makes numbers on demand, and a consumer that takes batches of at most 500:
//!
//! ```
//! use bennu_pipeline::{Consumer, Demand, HandlerResult, Pipeline, from_iter, handled};
//!
//! #[derive(Clone)]
//! struct Sum(u64);
//!
//! impl Consumer<u64> for Sum {
//!     async fn handle_events(&mut self, numbers: Vec<u64>) -> HandlerResult {
//!         self.0 += numbers.iter().sum::<u64>();
//!         println!("{} after {} more", self.0, numbers.len());
//!         handled()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut pipeline = Pipeline::new();
//! let numbers = pipeline.producer("numbers").start(from_iter(1..=10_000))?;
//! pipeline.consumer("sum").subscribe(&numbers, Demand::default()).start(Sum(0))?;
//! pipeline.finished().await?; // there are no more numbers
//! # Ok(())
//! # }
//! ```
//!
//! # The stages
//!
//! | made by | input | output | its code |
//! |---|---|---|---|
//! | [`Pipeline::queue`] | | the pushed items | none: [`Queue`] is the handle |
//! | [`Pipeline::producer`] | | items that it makes on demand | [`Producer`], [`from_iter`], or a closure |
//! | [`Pipeline::source`] | | [`Delivery`], to be acknowledged | [`Source`] |
//! | [`Pipeline::producer_consumer`] | batches | items that it makes of them | [`ProducerConsumer`] or a closure |
//! | [`Pipeline::consumer`] | batches | | [`Consumer`] or a closure |
//! | [`Pipeline::workers`] | single items | | [`Worker`] or a closure |
//!
//! A stage with an output keeps items without a request in its [`Buffer`]. It sends each item to one subscriber, to all
//! ([`Stage::broadcast`]), or to one of the item's partition ([`Stage::partition`]).
//!
//! # Guarantees
//!
//! - **Demand.** A subscriber has at most `max_demand` items that were delivered and are not finished ([`Demand`]). A batch
//!   has at most `max_demand - min_demand`.
//! - **Order.** The items that one task pushes, or one producer makes, reach each subscriber in that order. A consumer works
//!   at one batch at a time, and workers with a `max_demand` of 1 at one item. So a chain of those keeps the order.
//! - **Delivery.** Without crashes each item is worked at exactly once, by one subscriber; of a broadcast by each.
//! - **Crashes** stay in their stage. The table below lists the items that they lose; no other items are lost.
//! - **Bounds.** A stage holds its buffer, the items that its subscribers have requested, and the items made of one batch.
//!   Nothing else is held.
//!
//! | crash, by an error or a panic | lost items | recovery |
//! |---|---|---|
//! | a worker | its item; none if the stage is `transient`, until `max_restarts` attempts more have crashed | other workers go on |
//! | a consumer, a producer-consumer | the batch in progress | it restarts, 3 times in 5 s by default |
//! | a producer | items that it had made and not returned | the same |
//! | a source | none: its items were not acknowledged | after an error the call is repeated, after a panic the source restarts |
//! | a stage that crashes too often | the batch in progress | it ends, its subscribers drain; [`Pipeline::finished`] returns the error |
//! | the process | all items in memory; none of a source | |
//!
//! # Structure
//!
//! ```text
//! queue, producer, source ─► output ─► subscription ─► producer-consumer ─► output ─► subscription ─► consumer, workers
//!                            exchange (pure): items that are requested, buffered, delivered, in progress
//! ```
//!
//! `exchange.rs` does all the counting and has no task. `output/shared.rs` puts a lock around it and keeps the wakers of the
//! tasks that wait. Each stage but a queue is one task (`stage/`); `supervisor.rs` restarts its code after a crash.

mod exchange;
mod output;
mod pipeline;
mod stage;
mod supervisor;
pub mod telemetry;

pub use exchange::buffer::{Buffer, Keep};
pub use exchange::demand::Demand;
pub use exchange::dispatcher::hash;
pub use output::Output;
pub use pipeline::{DrainError, Pipeline};
pub use stage::consumer::Consumer;
pub use stage::delivery::Delivery;
pub use stage::producer::{FromIter, Producer, from_iter};
pub use stage::producer_consumer::{IntoItems, ProducerConsumer};
pub use stage::queue::{Queue, QueueClosed, TryPushError};
pub use stage::source::Source;
pub use stage::worker::Worker;
pub use stage::{HasInput, HasOutput, Stage, StartError, Supervised, kind};
pub use supervisor::StageFailed;
pub use supervisor::crash::{HandlerError, HandlerResult, IntoHandlerResult, handled};

/// The guide's listings.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/pipeline.md")]
struct Guide;
