//! The kinds of stages: how a pipeline begins to describe one, and how each is started.

use crate::consumer::{self, Consumer};
use crate::crank::Crank;
use crate::delivery::{Delivery, Receipts};
use crate::output::Output;
use crate::pace::Pace;
use crate::pipeline::Pipeline;
use crate::producer::{self, Producer};
use crate::producer_consumer::{self, ProducerConsumer};
use crate::queue::Queue;
use crate::restart::Restart;
use crate::source::Source;
use crate::stage::sealed::Kind;
use crate::stage::{Gives, Lives, Stage, StartError, Takes};
use crate::station::{self, POLL_INTERVAL, Station};
use crate::telemetry::{LifeMeters, SourceMeters};
use crate::worker::{self, Crew, Worker};
use std::sync::Arc;
use std::time::Duration;

impl Pipeline {
    /// A stage that other tasks push into. Its name is its label in metrics and logs.
    pub fn queue<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, QueueKind, Nothing, T> {
        Stage::new(self, name, QueueKind)
    }

    /// A stage that makes items on demand.
    pub fn producer<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, ProducerKind, Nothing, T> {
        Stage::new(self, name, ProducerKind)
    }

    /// A stage over a source that is asked when there is demand.
    pub fn source<S: Source>(&mut self, name: &'static str) -> Stage<'_, SourceKind, Nothing, Delivery<S>> {
        Stage::new(self, name, SourceKind::new())
    }

    /// A stage that takes items and gives others.
    pub fn producer_consumer<T, U>(&mut self, name: &'static str) -> Stage<'_, ProducerConsumerKind, T, U>
    where
        T: Send + 'static,
        U: Send + 'static,
    {
        Stage::new(self, name, ProducerConsumerKind)
    }

    /// A stage that takes items, one batch after the other.
    pub fn consumer<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, ConsumerKind, T, Nothing> {
        Stage::new(self, name, ConsumerKind)
    }

    /// A stage that takes items, each into a supervised task, as many at once as the `max_demand` of its subscription.
    pub fn workers<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, WorkersKind<T>, T, Nothing> {
        Stage::new(self, name, WorkersKind { restart: Restart::Temporary })
    }
}

/// What takes nothing, or gives nothing.
#[derive(Debug)]
pub enum Nothing {}

/// Other tasks push into it.
#[derive(Debug)]
pub struct QueueKind;

/// Makes items on demand.
#[derive(Debug)]
pub struct ProducerKind;

/// Asks a source when there is demand.
#[derive(Debug)]
pub struct SourceKind {
    pub(crate) poll_interval: Duration,
}

/// Takes items and gives others.
#[derive(Debug)]
pub struct ProducerConsumerKind;

/// Takes batches.
#[derive(Debug)]
pub struct ConsumerKind;

/// Takes items, each into a task.
pub struct WorkersKind<T> {
    pub(crate) restart: Restart<T>,
}

impl Kind for QueueKind {}
impl Kind for ProducerKind {}
impl Kind for SourceKind {}
impl Kind for ProducerConsumerKind {}
impl Kind for ConsumerKind {}
impl<T> Kind for WorkersKind<T> {}
impl Gives for QueueKind {}
impl Gives for ProducerKind {}
impl Gives for SourceKind {}
impl Gives for ProducerConsumerKind {}
impl Takes for ProducerConsumerKind {}
impl Takes for ConsumerKind {}
impl<T> Takes for WorkersKind<T> {}
impl Lives for ProducerKind {}
impl Lives for SourceKind {}
impl Lives for ProducerConsumerKind {}
impl Lives for ConsumerKind {}

impl SourceKind {
    pub(crate) fn new() -> Self {
        SourceKind { poll_interval: POLL_INTERVAL }
    }
}

impl<T: Send + 'static> Stage<'_, QueueKind, Nothing, T> {
    /// Starts it, and returns the handle that pushes.
    ///
    /// # Errors
    ///
    /// [`StartError::NoPartitions`], [`StartError::NoBuffer`].
    pub fn start(mut self) -> Result<Queue<T>, StartError> {
        let outlet = self.outlet()?;
        self.pipeline.close_at_drain(&outlet);
        Ok(Queue::new(outlet))
    }
}

impl<T: Send + 'static> Stage<'_, ProducerKind, Nothing, T> {
    /// Starts it. After a crash it starts again from a clone of `producer`.
    ///
    /// # Errors
    ///
    /// [`StartError::NoPartitions`], [`StartError::NoBuffer`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, producer: impl Producer<T> + Clone + Sync) -> Result<Output<T>, StartError> {
        self.start_with(move || producer.clone())
    }

    /// As [`start`](Self::start), with what makes a producer at the start and after each crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<P: Producer<T>>(
        mut self,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Output<T>, StartError> {
        let (life, outlet, stop) = (self.life(), self.outlet()?, self.pipeline.stop());
        let crank = Crank::new(producer::run(life, outlet.clone(), make, stop));
        outlet.may_turn(crank.clone());
        self.pipeline.spawn(self.name, crank.own());
        Ok(Output::new(outlet))
    }
}

impl<S: Source> Stage<'_, SourceKind, Nothing, Delivery<S>> {
    /// How long a source rests that had nothing, or failed: 1 s by default.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.kind.poll_interval = poll_interval;
        self
    }

    /// Starts it. After a panic it starts again from a clone of `source`.
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

    /// As [`start`](Self::start), with what makes a source at the start and after each panic.
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
        let (life, outlet) = (self.life(), self.outlet()?);
        let station = Station {
            stage: self.name,
            outlet: outlet.clone(),
            poll_interval: self.kind.poll_interval,
            stop: self.pipeline.stop(),
            meters: SourceMeters::new(self.name),
            receipts: Arc::new(Receipts::new()),
        };
        self.pipeline.spawn(self.name, station::run(life, station, make));
        Ok(Output::new(outlet))
    }
}

impl<T: Send + 'static, U: Send + 'static> Stage<'_, ProducerConsumerKind, T, U> {
    /// Starts it. After a crash it starts again from a clone of `stage`.
    ///
    /// # Errors
    ///
    /// Any [`StartError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, stage: impl ProducerConsumer<T, U> + Clone + Sync) -> Result<Output<U>, StartError> {
        self.start_with(move || stage.clone())
    }

    /// As [`start`](Self::start), with what makes the stage at the start and after each crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<P: ProducerConsumer<T, U>>(
        mut self,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Output<U>, StartError> {
        let (life, inlets, outlet) = (self.life(), self.inlets()?, self.outlet()?);
        self.pipeline.spawn(self.name, producer_consumer::run(life, inlets, outlet.clone(), make));
        Ok(Output::new(outlet))
    }
}

impl<T: Send + 'static> Stage<'_, ConsumerKind, T, Nothing> {
    /// Starts it. After a crash it starts again from a clone of `consumer`.
    ///
    /// # Errors
    ///
    /// Any [`StartError`] of a subscription.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self, consumer: impl Consumer<T> + Clone + Sync) -> Result<(), StartError> {
        self.start_with(move || consumer.clone())
    }

    /// As [`start`](Self::start), with what makes a consumer at the start and after each crash.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_with<C: Consumer<T>>(
        mut self,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let (life, inlets) = (self.life(), self.inlets()?);
        self.pipeline.spawn(self.name, consumer::run(life, inlets, make));
        Ok(())
    }
}

impl<T: Send + 'static> Stage<'_, WorkersKind<T>, T, Nothing> {
    /// An item whose worker crashed is tried again, at once and as often as `max_restarts` says, instead of being lost.
    ///
    /// The count is the item's own: one that always crashes harms no others. In OTP it is the supervisor's, which then
    /// ends with all its workers.
    pub fn transient(mut self, max_restarts: usize) -> Self
    where
        T: Clone,
    {
        self.kind.restart = Restart::Transient { max_restarts, clone: T::clone };
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// Any [`StartError`] of a subscription.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(mut self, worker: impl Worker<T>) -> Result<(), StartError> {
        let inlets = self.inlets()?;
        let (life, meters) = (LifeMeters::new(self.name), inlets.meters.clone());
        let crew = Crew { stage: self.name, worker, restart: self.kind.restart, life, meters, pace: Pace::new() };
        self.pipeline.spawn(self.name, worker::supervise(crew, inlets));
        Ok(())
    }
}

impl<T> std::fmt::Debug for WorkersKind<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkersKind")
    }
}
