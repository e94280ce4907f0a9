//! Workers: each item in a supervised task, as many at once as demand allows. GenStage's `ConsumerSupervisor`.
//!
//! The supervisor's task takes an item and spawns a task for it. That task works at one item at a time, and when it is
//! done takes the next that has been delivered, if there is one; else it ends. So each item has a task to itself while it is
//! worked at, but a busy supervisor does not pay for a new one each time. The supervisor lets others run between two
//! spawns: workers that do not wait for anything get the next items themselves.
//!
//! At most `max_demand` items are delivered and not finished, so there are never more workers than that.

use crate::crash::{Crash, Handled, Outcome, catch};
use crate::inlets::Inlets;
use crate::life::StageFailed;
use crate::outlet::Inlet;
use crate::restart::Restart;
use crate::telemetry::{InputMeters, LifeMeters};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

/// What is done with one item, in a task of its own. One value serves all of a stage's workers.
///
/// ```
/// use bennu_pipeline::{Handled, Worker, handled};
///
/// struct Deliver {
///     greeting: String,
/// }
///
/// impl Worker<String> for Deliver {
///     async fn work(&self, name: String) -> Handled {
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
    /// An error or a panic stops at this item: it is logged and counted, and the item is lost, or tried again if the
    /// stage was made `transient`. Others are not touched.
    fn work(&self, item: T) -> impl Future<Output = Handled> + Send;
}

impl<T, F, R> Worker<T> for F
where
    T: Send,
    F: Fn(T) -> R + Send + Sync + 'static,
    R: Future<Output: Outcome> + Send,
{
    async fn work(&self, item: T) -> Handled {
        let working = self(item);
        working.await.into_handled()
    }
}

/// What all workers of a stage share.
pub(crate) struct Crew<T, W> {
    pub(crate) stage: &'static str,
    pub(crate) worker: W,
    pub(crate) restart: Restart<T>,
    pub(crate) life: LifeMeters,
    pub(crate) meters: Arc<InputMeters>,
}

/// The supervisor's task.
pub(crate) async fn supervise<T, W>(crew: Crew<T, W>, inlets: Inlets<T>) -> Result<(), StageFailed>
where
    T: Send + 'static,
    W: Worker<T>,
{
    let crew = Arc::new(crew);
    let mut workers = JoinSet::new();
    while let Some((inlet, item)) = inlets.item().await {
        while workers.try_join_next().is_some() {}
        workers.spawn(crew.clone().work(inlet, item));
        tokio::task::yield_now().await;
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}

impl<T: Send + 'static, W: Worker<T>> Crew<T, W> {
    /// A worker's task: an item, and whatever else has been delivered when it is done.
    async fn work(self: Arc<Self>, inlet: Arc<Inlet<T>>, item: T) {
        let mut next = Some(item);
        while let Some(item) = next.take() {
            let hand = Hand(&inlet);
            self.attempt(item).await;
            next = hand.finish_and_take();
            consume_budget().await;
        }
    }

    /// Works at an item until it is done or lost.
    async fn attempt(&self, item: T) {
        let started = Instant::now();
        let (mut item, mut restarts) = (item, 0);
        loop {
            let mut spare = None;
            let attempt = async {
                spare = self.restart.spare(&item, restarts);
                self.worker.work(item).await
            };
            let Err(crash) = catch(attempt).await else { break };
            self.crashed(&crash, restarts, spare.is_some());
            let Some(again) = spare else { break };
            item = again;
            restarts += 1;
        }
        self.meters.time_in_stage.record(started.elapsed());
    }

    fn crashed(&self, crash: &Crash, restarts: usize, again: bool) {
        self.life.crashes.increment(1);
        if again { &self.life.restarts } else { &self.meters.lost }.increment(1);
        tracing::error!(stage = self.stage, why = %crash, restarts, again, "a worker crashed");
    }
}

/// An item in a worker's hand: finished when this goes, even by a panic.
struct Hand<'a, T>(&'a Inlet<T>);

impl<T> Hand<'_, T> {
    fn finish_and_take(self) -> Option<T> {
        let inlet = self.0;
        std::mem::forget(self);
        inlet.finish_one_and_take()
    }
}

impl<T> Drop for Hand<'_, T> {
    fn drop(&mut self) {
        self.0.finish(1);
    }
}
