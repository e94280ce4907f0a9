//! Workers: each item in a supervised task of its own, as many at once as demand allows. GenStage's `ConsumerSupervisor`.
//!
//! The stage's task takes delivered items and spawns a task for each of them. A worker's task works at its item, restarts the
//! item after a crash if the stage is transient, and finishes it; then the subscription requests more. At most `max_demand`
//! items are delivered and not finished, so there are never more workers than that. Workers end with the stage's task.

use super::kind::{Nothing, WorkersKind};
use super::{Stage, StartError};
use crate::output::subscription::{Subscription, Subscriptions};
use crate::supervisor::StageFailed;
use crate::supervisor::crash::{HandlerError, HandlerResult, IntoHandlerResult, catch};
use crate::supervisor::restart::Restart;
use crate::telemetry::{InputMeters, SupervisorMeters};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The code that works at one item, in a task of its own. One value serves all workers of a stage.
///
/// ```
/// use bennu_pipeline::{HandlerResult, Worker, handled};
///
/// struct Deliver {
///     greeting: String,
/// }
///
/// impl Worker<String> for Deliver {
///     async fn work(&self, name: String) -> HandlerResult {
///         println!("{}, {name}", self.greeting);
///         handled()
///     }
/// }
/// ```
///
/// A closure `|item: T| async move { .. }` is one too; it returns nothing, or a `Result<(), E>`.
pub trait Worker<T>: Send + Sync + 'static {
    /// Works at an item.
    ///
    /// An error or a panic ends the work at this item only: it is logged and counted, and the item is lost, or tried again if
    /// the stage is `transient`.
    ///
    /// Work that blocks its thread belongs into `tokio::task::spawn_blocking`: it delays all tasks of that thread.
    fn work(&self, item: T) -> impl Future<Output = HandlerResult> + Send;
}

impl<T, F, R> Worker<T> for F
where
    T: Send,
    F: Fn(T) -> R + Send + Sync + 'static,
    R: Future<Output: IntoHandlerResult> + Send,
{
    async fn work(&self, item: T) -> HandlerResult {
        let working = self(item);
        working.await.into_handler_result()
    }
}

impl<T: Send + 'static> Stage<'_, WorkersKind<T>, T, Nothing> {
    /// Tries the item of a crashed worker again, at once and at most `max_restarts` times, instead of losing it.
    ///
    /// Each item has its own count, so an item that always crashes affects no others. In OTP the count is the supervisor's,
    /// which then ends with all its workers.
    pub fn transient(mut self, max_restarts: usize) -> Self
    where
        T: Clone,
    {
        self.kind.restart = Restart::Transient { max_restarts, clone: T::clone };
        self
    }

    /// Starts the stage.
    ///
    /// # Errors
    ///
    /// Any [`StartError`] of a subscription.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(mut self, worker: impl Worker<T>) -> Result<(), StartError> {
        let subscriptions = self.subscriptions()?;
        let workers = Workers {
            stage: self.name,
            worker,
            restart: self.kind.restart,
            input: subscriptions.meters.clone(),
            supervisor: SupervisorMeters::new(self.name),
        };
        self.pipeline.spawn(self.name, supervise(Arc::new(workers), subscriptions));
        Ok(())
    }
}

/// The state that all workers of a stage share.
struct Workers<T, W> {
    stage: &'static str,
    worker: W,
    restart: Restart<T>,
    input: Arc<InputMeters>,
    supervisor: SupervisorMeters,
}

/// An item that a worker has taken. It is finished when this is dropped, by a panic too.
struct InProgress<T>(Arc<Subscription<T>>);

impl<T> Drop for InProgress<T> {
    fn drop(&mut self) {
        self.0.finish(1);
    }
}

/// The stage's task.
async fn supervise<T, W>(workers: Arc<Workers<T, W>>, subscriptions: Subscriptions<T>) -> Result<(), StageFailed>
where
    T: Send + 'static,
    W: Worker<T>,
{
    let mut tasks = JoinSet::new();
    while let Some((subscription, items)) = subscriptions.batch(usize::MAX).await {
        while tasks.try_join_next().is_some() {}
        for item in items {
            tasks.spawn(workers.clone().work(item, InProgress(subscription.clone())));
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

impl<T: Send + 'static, W: Worker<T>> Workers<T, W> {
    /// A worker's task.
    async fn work(self: Arc<Self>, item: T, _in_progress: InProgress<T>) {
        let started = Instant::now();
        self.attempt(item).await;
        self.input.time_in_stage.record(started.elapsed());
    }

    /// Works at an item until it is done or lost.
    async fn attempt(&self, mut item: T) {
        let mut restarts = 0;
        loop {
            let mut spare = None;
            let attempt = async {
                spare = self.restart.spare(&item, restarts);
                self.worker.work(item).await
            };
            let Err(crash) = catch(attempt).await else { return };
            self.count_crash(&crash, restarts, spare.is_some());
            let Some(again) = spare else { return };
            item = again;
            restarts += 1;
        }
    }

    fn count_crash(&self, crash: &HandlerError, restarts: usize, again: bool) {
        self.supervisor.crashes.increment(1);
        if again { &self.supervisor.restarts } else { &self.input.lost }.increment(1);
        tracing::error!(stage = self.stage, why = %crash, restarts, again, "a worker crashed");
    }
}
