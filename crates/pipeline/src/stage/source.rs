//! Sources: stages over a table, a broker's queue, or a directory, which keeps its items until they are acknowledged.
//!
//! The stage's one task owns the [`Source`], so the source needs no lock. The task fetches items when there is demand, rests
//! when the source is empty or has failed, and reports to the source which deliveries are acknowledged or released. It ends at
//! a drain, when every delivery is settled and reported.

use super::delivery::{Delivery, Receipts, Settled};
use super::kind::{Nothing, SourceKind};
use super::{Stage, StartError};
use crate::output::Output;
use crate::output::shared::SharedOutput;
use crate::pipeline::DrainSignal;
use crate::supervisor::crash::HandlerError;
use crate::supervisor::{StageFailed, Supervisor};
use crate::telemetry::SourceMeters;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A store that keeps items until they are acknowledged.
///
/// The stage's output is [`Delivery<Self>`](crate::Delivery): each item with its acknowledgement.
///
/// An error of any of the three methods is no crash: it is logged and counted, and the call is repeated after the poll
/// interval. A panic is a crash: a new source starts from the value that the stage was started with, and may fetch items again
/// that the old one had fetched.
pub trait Source: Send + 'static {
    /// An item.
    type Item: Send + 'static;
    /// The id of an item.
    type Id: Send + Sync + 'static;

    /// Fetches items: at most `demand`. An empty vector means that there are none now; the stage fetches again after the poll
    /// interval.
    ///
    /// An item that was fetched must not be fetched again until it is released. The memory of the source is enough to keep
    /// track of that, since a new process has nothing in flight. The future should be cancellation safe: a drain drops it
    /// while it waits.
    fn fetch(
        &mut self,
        demand: usize,
    ) -> impl Future<Output = Result<Vec<(Self::Id, Self::Item)>, HandlerError>> + Send;

    /// Removes items whose work is done. The ids are all acknowledgements since the last call. After an error the same ids
    /// come again, so the method must be idempotent.
    fn ack(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Releases items that were dropped without an acknowledgement. The source should fetch them again after a while: an item
    /// that always fails would otherwise be tried without a pause.
    ///
    /// Does nothing by default, which is right for sources whose items become available again by themselves.
    fn release(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let _released = ids;
        async { Ok(()) }
    }
}

impl<S: Source> Stage<'_, SourceKind, Nothing, Delivery<S>> {
    /// Sets how long a source rests after it had no items, or failed: 1 s by default.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.kind.poll_interval = poll_interval;
        self
    }

    /// Starts the stage. After a panic it restarts from a clone of `source`.
    ///
    /// # Errors
    ///
    /// [`StartError::NoPartitions`], [`StartError::NoBuffer`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, source: S) -> Result<Output<Delivery<S>>, StartError>
    where
        S: Clone + Sync,
    {
        self.start_with(move || source.clone())
    }

    /// Starts the stage as [`start`](Self::start) does, with a closure that makes a source at the start and after each panic.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with(
        mut self,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<Output<Delivery<S>>, StartError> {
        let (supervisor, output) = (self.supervisor(), self.output()?);
        let task = SourceTask {
            stage: self.name,
            output: output.clone(),
            poll_interval: self.kind.poll_interval,
            drain: self.pipeline.drain_signal(),
            meters: SourceMeters::new(self.name),
            receipts: Arc::new(Receipts::new()),
        };
        self.pipeline.spawn(self.name, task.supervise(supervisor, make));
        Ok(Output::new(output))
    }
}

/// The task of a source. It outlives the sources that panic.
struct SourceTask<S: Source> {
    stage: &'static str,
    output: Arc<SharedOutput<Delivery<S>>>,
    poll_interval: Duration,
    drain: DrainSignal,
    meters: SourceMeters,
    receipts: Arc<Receipts<S::Id>>,
}

/// The next step of a source's task.
enum Step<Id> {
    Drain,
    Settled(Settled<Id>),
    Report,
    Fetch(usize),
}

impl<S: Source> SourceTask<S> {
    async fn supervise(self, supervisor: Supervisor, make: impl Fn() -> S + Send + Sync) -> Result<(), StageFailed> {
        let result = supervisor.run(|| async { self.run(make()).await }, || {}).await;
        self.output.close();
        result
    }

    /// Fetches items and reports settled deliveries, until the pipeline drains and every delivery is reported.
    async fn run(&self, mut source: S) -> Result<(), HandlerError> {
        let mut unreported = Unreported { settled: Settled::default(), receipts: &self.receipts };
        let (mut fetch_at, mut report_at) = (Instant::now(), Instant::now());
        let mut draining = false;
        loop {
            self.meters.unacknowledged.set(self.receipts.unsettled() as f64);
            if draining && unreported.settled.is_empty() && self.receipts.all_taken() {
                return Ok(());
            }
            // Unbiased, so that neither fetches nor reports starve. All branches are cancellation safe.
            let step = tokio::select! {
                () = self.drain.received(), if !draining => Step::Drain,
                settled = self.receipts.settled() => Step::Settled(settled),
                () = sleep_until(report_at), if !unreported.settled.is_empty() => Step::Report,
                demand = self.demand(fetch_at), if !draining => Step::Fetch(demand),
            };
            match step {
                Step::Drain => {
                    draining = true;
                    self.output.close();
                }
                Step::Settled(settled) => unreported.settled.extend(settled),
                Step::Report => {
                    if let Err((call, crash)) = unreported.report(&mut source).await {
                        report_at = self.retry_at(call, &crash);
                    }
                }
                Step::Fetch(demand) => {
                    let fetched = tokio::select! {
                        biased;
                        () = self.drain.received() => continue,
                        fetched = source.fetch(demand) => fetched,
                    };
                    match fetched {
                        Ok(items) if items.is_empty() => fetch_at = Instant::now() + self.poll_interval,
                        Ok(items) => self.emit(items),
                        Err(crash) => fetch_at = self.retry_at("fetch", &crash),
                    }
                }
            }
        }
    }

    /// Waits until `at`, then for demand. Returns the demand.
    async fn demand(&self, at: Instant) -> usize {
        sleep_until(at).await;
        self.output.demand().await
    }

    fn emit(&self, items: Vec<(S::Id, S::Item)>) {
        let deliver = |(id, item)| Delivery::new(id, item, self.receipts.clone());
        // Dropping a delivery that found no room releases it.
        drop(self.output.emit(items.into_iter().map(deliver).collect()));
    }

    /// Logs and counts a failed call, and returns the time of the next attempt.
    fn retry_at(&self, call: &'static str, crash: &HandlerError) -> Instant {
        self.meters.failures.increment(1);
        let after = self.poll_interval;
        tracing::warn!(stage = self.stage, what = call, why = %crash, ?after, "a source failed, trying again");
        Instant::now() + after
    }
}

/// Settled deliveries that are not reported to the source yet. Returned to the receipts when the source panics, for the next
/// source.
struct Unreported<'a, Id> {
    settled: Settled<Id>,
    receipts: &'a Receipts<Id>,
}

impl<Id> Unreported<'_, Id> {
    async fn report<S: Source<Id = Id>>(&mut self, source: &mut S) -> Result<(), (&'static str, HandlerError)> {
        if !self.settled.acked.is_empty() {
            source.ack(&self.settled.acked).await.map_err(|crash| ("ack", crash))?;
            self.settled.acked.clear();
        }
        if !self.settled.released.is_empty() {
            source.release(&self.settled.released).await.map_err(|crash| ("release", crash))?;
            self.settled.released.clear();
        }
        Ok(())
    }
}

impl<Id> Drop for Unreported<'_, Id> {
    fn drop(&mut self) {
        self.receipts.put_back(std::mem::take(&mut self.settled));
    }
}
