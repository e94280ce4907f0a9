//! The task of a stage over a source.
//!
//! It asks the source when there is demand, rests when the source is empty or fails, and tells it what became of its items.
//! It is the only one that uses the source, so that needs no lock.

use crate::crash::Crash;
use crate::delivery::{Delivery, Receipts, Settled};
use crate::life::{Life, StageFailed};
use crate::outlet::Outlet;
use crate::source::Source;
use crate::stop::Stop;
use crate::telemetry::SourceMeters;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often a source that had nothing is asked again: 1 s.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A source's stage, between its lives.
pub(crate) struct Station<S: Source> {
    pub(crate) stage: &'static str,
    pub(crate) outlet: Arc<Outlet<Delivery<S>>>,
    pub(crate) poll_interval: Duration,
    pub(crate) stop: Stop,
    pub(crate) meters: SourceMeters,
    pub(crate) receipts: Arc<Receipts<S::Id>>,
}

/// What a source's task does next.
enum Step<Id> {
    Stop,
    Settled(Settled<Id>),
    Tell,
    Fetch(usize),
}

/// The task of a source.
pub(crate) async fn run<S: Source>(
    life: Life,
    station: Station<S>,
    make: impl Fn() -> S + Send + Sync,
) -> Result<(), StageFailed> {
    let lived = life.run(|| async { station.live(make()).await }, || {}).await;
    station.outlet.close();
    lived
}

impl<S: Source> Station<S> {
    /// Asks for items and tells what became of them, until it was told to stop and everything is told.
    async fn live(&self, mut source: S) -> Result<(), Crash> {
        let mut untold = Untold::new(&self.receipts);
        let (mut fetch_at, mut tell_at) = (Instant::now(), Instant::now());
        let mut stopped = false;
        loop {
            self.meters.unacknowledged.set(self.receipts.unsettled() as f64);
            if stopped && untold.settled.is_none() && self.receipts.all_taken() {
                return Ok(());
            }
            // In no order: neither the way there nor the way back starves. Nothing that is begun here is lost when another
            // comes first.
            let step = tokio::select! {
                () = self.stop.told(), if !stopped => Step::Stop,
                settled = self.receipts.settled() => Step::Settled(settled),
                () = sleep_until(tell_at), if !untold.settled.is_none() => Step::Tell,
                demand = self.demand(fetch_at), if !stopped => Step::Fetch(demand),
            };
            match step {
                Step::Stop => stopped = true,
                Step::Settled(settled) => untold.settled.extend(settled),
                Step::Tell => {
                    if let Err((what, crash)) = untold.tell(&mut source).await {
                        tell_at = self.failed(what, &crash);
                    }
                }
                Step::Fetch(demand) => {
                    let fetched = tokio::select! {
                        biased;
                        () = self.stop.told() => continue,
                        fetched = source.fetch(demand) => fetched,
                    };
                    match fetched {
                        Ok(items) if items.is_empty() => fetch_at = Instant::now() + self.poll_interval,
                        Ok(items) => self.emit(items),
                        Err(crash) => fetch_at = self.failed("fetch", &crash),
                    }
                }
            }
            if stopped {
                self.outlet.close();
            }
        }
    }

    /// How many items are asked for, not before a time.
    async fn demand(&self, at: Instant) -> usize {
        sleep_until(at).await;
        self.outlet.demand().await
    }

    fn emit(&self, items: Vec<(S::Id, S::Item)>) {
        let deliver = |(id, item)| Delivery::new(id, item, self.receipts.clone());
        // What the buffer has no place for is released by being dropped.
        drop(self.outlet.emit(items.into_iter().map(deliver).collect()));
    }

    /// Notes a failure, and says when to try again.
    fn failed(&self, what: &'static str, crash: &Crash) -> Instant {
        self.meters.failures.increment(1);
        tracing::warn!(stage = self.stage, what, why = %crash, after = ?self.poll_interval, "a source failed, trying again");
        Instant::now() + self.poll_interval
    }
}

/// What the source has not been told yet. Goes back to the others when the source panics, for the next to be told.
struct Untold<'a, Id> {
    settled: Settled<Id>,
    receipts: &'a Receipts<Id>,
}

impl<'a, Id> Untold<'a, Id> {
    fn new(receipts: &'a Receipts<Id>) -> Self {
        Untold { settled: Settled::none(), receipts }
    }

    async fn tell<S: Source<Id = Id>>(&mut self, source: &mut S) -> Result<(), (&'static str, Crash)> {
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

impl<Id> Drop for Untold<'_, Id> {
    fn drop(&mut self) {
        self.receipts.put_back(std::mem::replace(&mut self.settled, Settled::none()));
    }
}
