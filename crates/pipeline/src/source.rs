//! Stages over something that has to be asked: a table, a queue of a broker, a directory.
//!
//! The task asks its source when there is demand, rests when the source is empty or fails, and tells it what became of
//! its items. It is the only one that uses the source, so that needs no lock.

use crate::crash::Crash;
use crate::delivery::{Delivery, Receipts, Settled};
use crate::life::{Life, StageFailed};
use crate::outlet::Outlet;
use crate::stop::Stop;
use crate::telemetry::SourceMeters;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Something that keeps items until they are acknowledged.
///
/// The stage's output is [`Delivery<Self>`](Delivery): each item with its way back.
///
/// An error of any of the three is no crash: it is logged and counted, and the call is made again after the poll
/// interval. A panic is one: a new source starts from what the stage was started with, and may bring again what the old
/// one had brought.
pub trait Source: Send + 'static {
    /// What it brings.
    type Item: Send + 'static;
    /// What it knows an item by.
    type Id: Send + Sync + 'static;

    /// Brings items: at most as many as `demand`. None at all says that there is nothing now; it is asked again after the
    /// poll interval.
    ///
    /// What it has brought it must not bring again until it is released. Its own memory is enough for that, since a new
    /// process has nothing in flight. It should be cancellation safe: a drain drops the future while it waits.
    fn fetch(&mut self, demand: usize) -> impl Future<Output = Result<Vec<(Self::Id, Self::Item)>, Crash>> + Send;

    /// Forgets items that have been worked at. Called with what has come together since the last call. When it fails, it
    /// is called with the same again, so it must bear that.
    fn ack(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), Crash>> + Send;

    /// Told of items that were given up without being acknowledged. It should bring them again, after a while: one that
    /// always fails would otherwise be tried without a rest.
    ///
    /// Does nothing by default, which is right for sources whose items come back by themselves.
    fn release(&mut self, ids: &[Self::Id]) -> impl Future<Output = Result<(), Crash>> + Send {
        let _forgotten = ids;
        async { Ok(()) }
    }
}

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
