//! Workers: each item in a supervised task, as many at once as demand allows. GenStage's `ConsumerSupervisor`.
//!
//! The supervisor's task takes an item and spawns a task for it. That task works at one item at a time, and when it is
//! done takes the next that has been delivered, if there is one; else it ends. So each item has a task to itself while it is
//! worked at, but a busy supervisor does not pay for a new one each time. The supervisor lets others run between two
//! spawns: workers that do not wait for anything get the next items themselves, and several at a time ([`Hand`]). While items
//! are quick a new worker begins with several ([`Pace`]), and a worker that asks a quick producer polls it itself.
//!
//! At most `max_demand` items are delivered and not finished, so there are never more workers than that.

use crate::crash::{Crash, Handled, Outcome, catch};
use crate::exchange::Share;
use crate::inlets::Inlets;
use crate::life::StageFailed;
use crate::outlet::Inlet;
use crate::pace::Pace;
use crate::restart::Restart;
use crate::telemetry::{InputMeters, LifeMeters};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
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
    ///
    /// Work that blocks its thread belongs into `tokio::task::spawn_blocking`: it holds up whatever else the thread has to
    /// do, here up to 31 items that were taken together with it because those before them were quick.
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
    pub(crate) pace: Pace,
}

/// The supervisor's task.
pub(crate) async fn supervise<T, W>(crew: Crew<T, W>, inlets: Inlets<T>) -> Result<(), StageFailed>
where
    T: Send + 'static,
    W: Worker<T>,
{
    let crew = Arc::new(crew);
    let mut workers = JoinSet::new();
    while let Some((inlet, share)) = inlets.share(|| crew.pace.first()).await {
        while workers.try_join_next().is_some() {}
        workers.spawn(crew.clone().work(inlet.clone(), share));
        if inlets.have_more() {
            tokio::task::yield_now().await;
        }
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}

impl<T: Send + 'static, W: Worker<T>> Crew<T, W> {
    /// A worker's task: a share, and whatever else has been delivered when it is done.
    async fn work(self: Arc<Self>, inlet: Arc<Inlet<T>>, share: VecDeque<T>) {
        let mut hand = Hand::new(&inlet, &self.meters, &self.pace, share);
        let mut since_budget = 0;
        while let Some(item) = hand.begin() {
            let attempt = self.attempt(item);
            tokio::pin!(attempt);
            if poll_once(attempt.as_mut()).await.is_pending() {
                hand.waits();
                attempt.await;
            }
            hand.end();
            // tokio counts steps, whatever they take; to let the thread go for less than that costs helps nobody.
            since_budget += 1;
            if since_budget >= self.pace.few() {
                since_budget = 0;
                consume_budget().await;
            }
        }
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
            self.crashed(&crash, restarts, spare.is_some());
            let Some(again) = spare else { return };
            item = again;
            restarts += 1;
        }
    }

    fn crashed(&self, crash: &Crash, restarts: usize, again: bool) {
        self.life.crashes.increment(1);
        if again { &self.life.restarts } else { &self.meters.lost }.increment(1);
        tracing::error!(stage = self.stage, why = %crash, restarts, again, "a worker crashed");
    }
}

/// Polls a future once, whatever comes of it.
async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await
}

/// What a worker has taken: its share. It takes several items at a time while they are quick, so that they pay together for
/// a lock and a look at the clock. As soon as one waits, it puts back what it has not begun: other workers get those. Only one
/// that blocks its thread after others were quick keeps what was taken with it waiting.
///
/// What is in hand when this goes, even by a panic, is finished.
struct Hand<'a, T> {
    inlet: &'a Inlet<T>,
    meters: &'a InputMeters,
    pace: &'a Pace,
    /// Not begun.
    share: VecDeque<T>,
    /// Of the share, not told to the inlet.
    done: usize,
    /// Of those, in `time_in_stage` already.
    measured: usize,
    begun: bool,
    /// Whether the item that was begun has waited.
    waited: bool,
    /// When the first item that is not measured was begun.
    since: Instant,
    /// How many to take next.
    next: Share,
}

impl<'a, T> Hand<'a, T> {
    fn new(inlet: &'a Inlet<T>, meters: &'a InputMeters, pace: &'a Pace, share: VecDeque<T>) -> Self {
        Hand {
            inlet,
            meters,
            pace,
            share,
            done: 0,
            measured: 0,
            begun: false,
            waited: false,
            since: Instant::now(),
            next: pace.first(),
        }
    }

    /// The next item: of this share, or of a new one.
    fn begin(&mut self) -> Option<T> {
        if self.share.is_empty() {
            let (done, _) = (std::mem::take(&mut self.done), std::mem::take(&mut self.measured));
            // What a producer takes for it is not this stage's time.
            self.since = self.inlet.finish_and_take(done, self.since, self.next, &mut self.share);
        }
        let item = self.share.pop_front();
        self.begun = item.is_some();
        item
    }

    /// The item that was begun waits, so it is not quick.
    fn waits(&mut self) {
        if self.done > self.measured {
            // It took its part of the time since then.
            let each = self.measure(1);
            self.since -= each;
        }
        self.waited = true;
        // New workers should know at once.
        self.pace.slow();
        self.put_back();
    }

    /// The item that was begun is done.
    fn end(&mut self) {
        self.begun = false;
        self.done += 1;
        if self.share.is_empty() {
            let each = self.measure(0);
            let waited = std::mem::take(&mut self.waited);
            self.next = if waited { self.pace.slow() } else { self.pace.next(self.next, each) };
        }
    }

    /// Measures what is done, besides so many that are not; says how long each took.
    fn measure(&mut self, besides: usize) -> Duration {
        let (now, count) = (Instant::now(), self.done - self.measured);
        let took = now.duration_since(self.since);
        let each = if count + besides > 1 { took / (count + besides) as u32 } else { took };
        self.meters.time_in_stage.record_many(each, count);
        self.measured = self.done;
        self.since = now;
        each
    }

    fn put_back(&mut self) {
        if !self.share.is_empty() {
            self.inlet.put_back(&mut self.share);
        }
    }
}

impl<T> Drop for Hand<'_, T> {
    fn drop(&mut self) {
        self.put_back();
        let left = self.done + usize::from(self.begun);
        if left > 0 {
            self.inlet.finish(left);
        }
    }
}
