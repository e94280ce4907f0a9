//! Describes a stage and starts it: its name, its subscriptions, its buffer, and its code.
//!
//! [`Pipeline`] makes a [`Stage`] of a [`kind`]; each kind's own file starts it. The options of a stage depend on whether its
//! kind has an input ([`HasInput`]), an output ([`HasOutput`]), or code that is restarted ([`Supervised`]). All options are
//! checked when the stage starts, and never later.

pub(crate) mod consumer;
pub(crate) mod delivery;
pub mod kind;
pub(crate) mod producer;
pub(crate) mod producer_consumer;
pub(crate) mod queue;
pub(crate) mod source;
pub(crate) mod worker;

use crate::exchange::buffer::Buffer;
use crate::exchange::demand::Demand;
use crate::exchange::dispatcher::Dispatcher;
use crate::output::Output;
use crate::output::shared::SharedOutput;
use crate::output::subscription::{Subscription, Subscriptions};
use crate::pipeline::Pipeline;
use crate::supervisor::Supervisor;
use crate::supervisor::restart::Intensity;
use crate::telemetry::InputMeters;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A stage that is described and not started yet. A method of [`Pipeline`] makes it, and `start` starts it.
#[must_use = "a stage does nothing until it is started"]
pub struct Stage<'p, K, In, Out> {
    pipeline: &'p mut Pipeline,
    name: &'static str,
    kind: K,
    inputs: Vec<(Output<In>, Demand)>,
    buffer: Buffer,
    dispatcher: Dispatcher<Out>,
    intensity: (usize, Duration),
    stage: PhantomData<fn(In) -> Out>,
}

/// A kind of stage that subscribes to other stages.
pub trait HasInput: sealed::Kind {}

/// A kind of stage that other stages subscribe to.
pub trait HasOutput: sealed::Kind {}

/// A kind of stage whose code is restarted after a crash.
pub trait Supervised: sealed::Kind {}

mod sealed {
    pub trait Kind {}
}

impl<K: HasInput, In, Out> Stage<'_, K, In, Out> {
    /// Subscribes to another stage. A stage may have several subscriptions; there is no order between their items.
    pub fn subscribe(mut self, output: &Output<In>, demand: Demand) -> Self {
        self.inputs.push((output.clone(), demand));
        self
    }
}

impl<K: HasOutput, In, Out> Stage<'_, K, In, Out> {
    /// Sets the buffer for items without a request: the last 10,000 items by default, for each partition.
    ///
    /// A producer-consumer takes no batch while it buffers anything, so its buffer's size has no effect.
    pub fn buffer(mut self, buffer: Buffer) -> Self {
        self.buffer = buffer;
        self
    }

    /// Sends each item to all subscribers, at the pace of the slowest, instead of to the one that has requested most.
    pub fn broadcast(mut self) -> Self
    where
        Out: Clone,
    {
        self.dispatcher = Dispatcher::Broadcast { clone: Out::clone };
        self
    }

    /// Sends each item to the partition `choose(item) % partitions`; see [`Output::partition`] and [`hash`](crate::hash).
    ///
    /// `choose` may be called several times for one item, and must return the same number each time. Items of one partition
    /// keep their order. Every partition should have a subscriber: without one its buffer fills, and from then on a producer, a
    /// source or a producer-consumer gets no demand for the other partitions either.
    pub fn partition(mut self, partitions: usize, choose: impl Fn(&Out) -> u64 + Send + Sync + 'static) -> Self {
        self.dispatcher = Dispatcher::Partition { partitions, choose: Box::new(choose) };
        self
    }
}

impl<K: Supervised, In, Out> Stage<'_, K, In, Out> {
    /// Sets how often the stage is restarted within a time. One crash more ends it. The default is 3 times in 5 s, which is
    /// OTP's intensity.
    pub fn max_restarts(mut self, max_restarts: usize, within: Duration) -> Self {
        self.intensity = (max_restarts, within);
        self
    }
}

impl<'p, K, In, Out> Stage<'p, K, In, Out> {
    fn new(pipeline: &'p mut Pipeline, name: &'static str, kind: K) -> Self {
        Stage {
            pipeline,
            name,
            kind,
            inputs: Vec::new(),
            buffer: Buffer::default(),
            dispatcher: Dispatcher::Demand,
            intensity: Intensity::DEFAULT,
            stage: PhantomData,
        }
    }

    fn output(&mut self) -> Result<Arc<SharedOutput<Out>>, StartError> {
        let stage = self.name;
        if let Dispatcher::Partition { partitions, .. } = &self.dispatcher {
            if *partitions == 0 {
                return Err(StartError::NoPartitions { stage });
            }
            if self.buffer.size() == 0 {
                return Err(StartError::NoBuffer { stage });
            }
        }
        let dispatcher = std::mem::replace(&mut self.dispatcher, Dispatcher::Demand);
        Ok(Arc::new(SharedOutput::new(stage, dispatcher, self.buffer)))
    }

    fn subscriptions(&mut self) -> Result<Subscriptions<In>, StartError> {
        let stage = self.name;
        if self.inputs.is_empty() {
            return Err(StartError::NoSubscription { stage });
        }
        for (output, demand) in &self.inputs {
            let (max, min) = (demand.max_demand(), demand.min_demand());
            if min >= max {
                return Err(StartError::Demand { stage, max, min });
            }
            let partitions = output.shared.partitions();
            match output.partition {
                None if partitions > 1 => {
                    return Err(StartError::PartitionNotNamed { stage, of: output.stage(), partitions });
                }
                Some(partition) if partition >= partitions => {
                    return Err(StartError::NoSuchPartition { stage, of: output.stage(), partition, partitions });
                }
                _ => {}
            }
        }
        let meters = Arc::new(InputMeters::new(stage));
        let subscribe = |(output, demand): (Output<In>, Demand)| {
            Subscription::new(output.shared, output.partition.unwrap_or(0), demand, meters.clone())
        };
        let subscriptions = std::mem::take(&mut self.inputs).into_iter().map(subscribe).collect();
        Ok(Subscriptions::new(subscriptions, meters))
    }

    fn supervisor(&self) -> Supervisor {
        let (max_restarts, within) = self.intensity;
        Supervisor::new(self.name, Intensity::new(max_restarts, within))
    }
}

impl<K, In, Out> fmt::Debug for Stage<'_, K, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A stage could not start, because its options contradict each other.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The stage has an input and no subscription.
    #[error("could not start stage {stage}: it has no subscription, call `subscribe` first")]
    NoSubscription {
        /// The stage's name.
        stage: &'static str,
    },
    /// A subscription would never request an item, or never a second time.
    #[error("could not start stage {stage}: min_demand is {min}, it must be less than max_demand, which is {max}")]
    Demand {
        /// The stage's name.
        stage: &'static str,
        /// The subscription's `max_demand`.
        max: usize,
        /// The subscription's `min_demand`.
        min: usize,
    },
    /// The stage has a partition dispatcher without partitions.
    #[error("could not start stage {stage}: it has 0 partitions, it must have 1 or more")]
    NoPartitions {
        /// The stage's name.
        stage: &'static str,
    },
    /// The stage's partitions have no room for items without a request.
    #[error("could not start stage {stage}: it has partitions and a buffer of 0 items, the buffer must have 1 or more")]
    NoBuffer {
        /// The stage's name.
        stage: &'static str,
    },
    /// The stage subscribes to a stage with partitions, and to none of them.
    #[error("could not start stage {stage}: {of} has {partitions} partitions, choose one with `Output::partition`")]
    PartitionNotNamed {
        /// The stage's name.
        stage: &'static str,
        /// The stage with the partitions.
        of: &'static str,
        /// How many partitions it has.
        partitions: usize,
    },
    /// The stage subscribes to a partition that does not exist.
    #[error(
        "could not start stage {stage}: {partition} is not a partition of {of}, which has {partitions}, counted from 0"
    )]
    NoSuchPartition {
        /// The stage's name.
        stage: &'static str,
        /// The stage with the partitions.
        of: &'static str,
        /// The number of the missing partition.
        partition: usize,
        /// How many partitions there are.
        partitions: usize,
    },
}

/// As [`Display`](std::fmt::Display): a `main` that returns the error prints it with `Debug`.
impl std::fmt::Debug for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
