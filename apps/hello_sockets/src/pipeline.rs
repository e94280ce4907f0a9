//! The data pipeline: what is sent to users waits in a queue, and workers take it from there to the users' channels, ten at
//! a time.
//!
//! Whoever sends does so through the [`Producer`], and is not held up by delivery until 10,000 pushes wait. The pipeline
//! belongs to who starts it, which is `serve`; it drains before the connections do, so that what was sent arrives.

use crate::channel::AuthChannel;
use crate::clock::unix_ms;
use bennu::{BroadcastError, Endpoint};
use bennu_pipeline::{Buffer, Demand, Pipeline, PushError, Queue, StartError};
use bennu_telemetry::measure_async;
use serde_json::Value;
use std::time::Duration;

/// How many pushes are worked at at once; more are asked for when half of them are done.
const MAX_DEMAND: usize = 10;

/// How many wait for a worker before whoever sends has to wait.
const WAITING: usize = 10_000;

/// Sends to users, from any task. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Producer(Queue<Item>);

/// What is sent to a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// To whom.
    pub user_id: u64,
    /// A JSON object.
    pub data: Value,
    /// How long the worker is busy with it besides; zero, but where one wants to see workers at work.
    pub work: Duration,
}

struct Item {
    push: Push,
    /// When it was sent, in milliseconds since 1970, if its delivery is to be timed.
    enqueued_at: Option<u64>,
}

/// The pipeline takes nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline has ended")]
pub struct Ended;

impl Push {
    /// What costs the worker nothing but its delivery.
    pub fn new(user_id: u64, data: Value) -> Self {
        Push { user_id, data, work: Duration::ZERO }
    }
}

impl Producer {
    /// Sends an event `push` to all clients of a user. Waits while 10,000 pushes wait already.
    ///
    /// # Errors
    /// [`Ended`] when the server stops.
    pub async fn push(&self, push: Push) -> Result<(), Ended> {
        Ok(self.0.push(Item { push, enqueued_at: None }).await?)
    }

    /// Sends an event `push_timed` to all clients of a user. The time from this call to the push to a client is the
    /// histogram `pipeline.push_delivered`, in milliseconds.
    ///
    /// # Errors
    /// As [`Producer::push`].
    pub async fn push_timed(&self, push: Push) -> Result<(), Ended> {
        Ok(self.0.push(Item { push, enqueued_at: Some(unix_ms()) }).await?)
    }
}

impl<T> From<PushError<T>> for Ended {
    fn from(_: PushError<T>) -> Self {
        Ended
    }
}

/// Starts the queue and its workers, which broadcast through the endpoint. Dropping the pipeline ends them; see
/// [`Pipeline::drain`].
///
/// # Errors
/// Never with the numbers above; [`StartError`] would name the one that is wrong.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn start(endpoint: &Endpoint) -> Result<(Pipeline, Producer), StartError> {
    let mut pipeline = Pipeline::new();
    let pushes = pipeline.queue("pushes").buffer(Buffer::keep_first(WAITING)).start()?;
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
