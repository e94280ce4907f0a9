//! Stages with demand: GenStage for Rust.
//!
//! Data flows from producers to consumers, and demand flows back. A consumer says how many items it can take, and never
//! gets more; so the slowest stage sets the pace, and what nobody can take yet waits in one place, which is bounded.
//!
//! A queue that any task pushes into, and workers that each deliver one item, ten at a time:
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
//! A producer that makes numbers when it is asked, and a consumer that takes batches of at most 500:
//!
//! ```
//! use bennu_pipeline::{Consumer, Demand, Handled, Pipeline, from_iter, handled};
//!
//! #[derive(Clone)]
//! struct Sum(u64);
//!
//! impl Consumer<u64> for Sum {
//!     async fn handle_events(&mut self, numbers: Vec<u64>) -> Handled {
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
//! | made by | takes | gives | its code |
//! |---|---|---|---|
//! | [`Pipeline::queue`] | | what is pushed | none: [`Queue`] is the handle |
//! | [`Pipeline::producer`] | | what it makes on demand | [`Producer`], [`from_iter`], or a closure |
//! | [`Pipeline::source`] | | [`Delivery`], to be acknowledged | [`Source`] |
//! | [`Pipeline::producer_consumer`] | batches | what it makes of them | [`ProducerConsumer`] or a closure |
//! | [`Pipeline::consumer`] | batches | | [`Consumer`] or a closure |
//! | [`Pipeline::workers`] | single items | | [`Worker`] or a closure |
//!
//! A stage with an output keeps what nobody has asked for in its [`Buffer`], and sends each item to one subscriber, to all
//! ([`Stage::broadcast`]), or to those of its partition ([`Stage::partition`]).
//!
//! # What holds
//!
//! - **Demand.** A subscriber has at most `max_demand` items that were delivered and are not finished ([`Demand`]). A batch
//!   has at most `max_demand - min_demand`.
//! - **Order.** What one task pushes, or one producer makes, reaches each subscriber in that order. A consumer works at one
//!   batch at a time, and workers with a `max_demand` of 1 at one item. So a chain of those keeps the order.
//! - **Delivery.** Without crashes each item is worked at exactly once, by one subscriber; of a broadcast by each.
//! - **Crashes** stay in their stage. What they lose is in the table below, and nothing else is.
//! - **Bounds.** A buffer, what subscribers asked for, and what was made of one batch: nothing else is held.
//!
//! | what crashes, by an error or a panic | what is lost | what happens then |
//! |---|---|---|
//! | a worker | its item; nothing if the stage is `transient`, until `max_restarts` attempts more have crashed | others go on |
//! | a consumer, a producer-consumer | the batch in hand | a new one starts, 3 times in 5 s by default |
//! | a producer | what it had made and not returned | the same |
//! | a source | nothing: its items were not acknowledged | an error is tried again, after a panic a new one starts |
//! | a stage that does so too often | the batch in hand | it ends, its subscribers drain; [`Pipeline::finished`] says so |
//! | the process | what is in memory; of a source nothing | |
//!
//! # How it is built
//!
//! ```text
//! Queue, producer, source ─► outlet ─► inlet ─► producer-consumer ─► outlet ─► inlet ─► consumer, workers
//!                            exchange (pure): what is asked for, held, delivered, in hand
//! ```
//!
//! `exchange.rs` has all the counting and no task. `outlet.rs` puts a lock around it and knows who waits. Each stage but a
//! queue is one task; `life.rs` starts its code again after a crash. A quick producer is polled by who asks it, through
//! `crank.rs`, so that the two need no turns; in its own task it is polled when it waits for something.

mod buffer;
mod consumer;
mod crank;
mod crash;
mod delivery;
mod demand;
mod dispatcher;
mod exchange;
mod inlets;
pub mod kind;
mod life;
mod line;
mod outlet;
mod output;
mod pace;
mod pipeline;
mod producer;
mod producer_consumer;
mod queue;
mod restart;
mod slice;
mod source;
mod stage;
mod station;
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

/// The guide's listings.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/pipeline.md")]
struct Guide;
