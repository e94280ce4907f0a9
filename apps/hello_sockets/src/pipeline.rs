//! The data pipeline: a queue of pushes to users, and workers that broadcast them on the users' topics, ten at a time.
//!
//! Senders use the [`Producer`] and wait only when the queue holds 10,000 pushes. `serve` owns the pipeline and drains
//! it before the connections, so that all queued pushes arrive.

use crate::channel::{AuthChannel, unix_ms};
use bennu::Endpoint;
use bennu::error::BroadcastError;
use bennu_pipeline::{Buffer, Demand, Pipeline, Queue, QueueClosed, StartError};
use bennu_telemetry::measure_async;
use serde_json::Value;
use std::time::Duration;

/// The number of concurrent pushes; more are demanded when half of them are done.
const MAX_DEMAND: usize = 10;

/// The number of queued pushes at which senders wait.
const MAX_QUEUED: usize = 10_000;

/// Sends pushes to users, from any task. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Producer(Queue<Item>);

/// A push to a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// The receiving user.
    pub user_id: u64,
    /// The payload, a JSON object.
    pub data: Value,
    /// The time that the worker needs before the delivery; more than zero only for demonstrations.
    pub work: Duration,
}

struct Item {
    push: Push,
    /// The time of sending, in milliseconds since 1970, if the delivery is measured.
    enqueued_at: Option<u64>,
}

/// The pipeline has ended and accepts no pushes.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline has ended")]
pub struct Ended;

impl Push {
    /// Creates a push without work before its delivery.
    pub fn new(user_id: u64, data: Value) -> Self {
        Push { user_id, data, work: Duration::ZERO }
    }
}

impl Producer {
    /// Sends an event `push` to all clients of a user. Waits while the queue holds 10,000 pushes.
    ///
    /// # Errors
    /// [`Ended`] when the server stops.
    pub async fn push(&self, push: Push) -> Result<(), Ended> {
        Ok(self.0.push(Item { push, enqueued_at: None }).await?)
    }

    /// Sends an event `push_timed` to all clients of a user. The time from this call to the push to a client is
    /// recorded in the histogram `pipeline.push_delivered`, in milliseconds.
    ///
    /// # Errors
    /// As [`Producer::push`].
    pub async fn push_timed(&self, push: Push) -> Result<(), Ended> {
        Ok(self.0.push(Item { push, enqueued_at: Some(unix_ms()) }).await?)
    }
}

impl<T> From<QueueClosed<T>> for Ended {
    fn from(_: QueueClosed<T>) -> Self {
        Ended
    }
}

/// Starts the queue and its workers, which broadcast through the endpoint. Dropping the pipeline ends them;
/// [`Pipeline::drain`] delivers the queue first.
///
/// # Errors
/// [`StartError`] for an invalid limit; the limits above are valid.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn start(endpoint: &Endpoint) -> Result<(Pipeline, Producer), StartError> {
    let mut pipeline = Pipeline::new();
    let pushes = pipeline.queue("pushes").buffer(Buffer::keep_first(MAX_QUEUED)).start()?;
    let endpoint = endpoint.clone();
    pipeline.workers("push_workers").subscribe(&pushes, Demand::max(MAX_DEMAND)).start(move |item: Item| {
        let endpoint = endpoint.clone();
        async move { measure_async("pipeline.worker.process_time", &[], process(&endpoint, item)).await }
    })?;
    Ok((pipeline, Producer(pushes)))
}

async fn process(endpoint: &Endpoint, Item { push, enqueued_at }: Item) -> Result<(), BroadcastError> {
    let Push { user_id, data, work } = push;
    if !work.is_zero() {
        tokio::time::sleep(work).await;
    }
    match enqueued_at {
        None => AuthChannel::push(endpoint, user_id, data),
        Some(at) => AuthChannel::push_timed(endpoint, user_id, data, at),
    }
}
