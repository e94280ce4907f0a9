//! How a stage is described and started: its name, what it subscribes to, what it keeps, and the code that it runs.
//!
//! One builder for all kinds; which options it has depends on whether the kind takes items ([`Takes`]), gives them
//! ([`Gives`]), or runs code that may crash ([`Lives`]). Checked when it starts, and never later.

use crate::buffer::Buffer;
use crate::demand::Demand;
use crate::dispatcher::Dispatcher;
use crate::inlets::Inlets;
use crate::life::Life;
use crate::outlet::{Inlet, Outlet};
use crate::output::{Output, Wanted};
use crate::pipeline::Pipeline;
use crate::restart::Intensity;
use crate::telemetry::InputMeters;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A stage that is described and not started: made by a [`Pipeline`], started by `start`.
#[must_use = "a stage does nothing until it is started"]
pub struct Stage<'p, K, In, Out> {
    pub(crate) pipeline: &'p mut Pipeline,
    pub(crate) name: &'static str,
    pub(crate) kind: K,
    wanted: Vec<Wanted<In>>,
    buffer: Buffer,
    dispatcher: Dispatcher<Out>,
    intensity: (usize, Duration),
    stage: PhantomData<fn(In) -> Out>,
}

/// A kind of stage that takes items from others.
pub trait Takes: sealed::Kind {}

/// A kind of stage that has an output.
pub trait Gives: sealed::Kind {}

/// A kind of stage whose code is started again after a crash.
pub trait Lives: sealed::Kind {}

pub(crate) mod sealed {
    pub trait Kind {}
}

impl<'p, K, In, Out> Stage<'p, K, In, Out> {
    pub(crate) fn new(pipeline: &'p mut Pipeline, name: &'static str, kind: K) -> Self {
        Stage {
            pipeline,
            name,
            kind,
            wanted: Vec::new(),
            buffer: Buffer::default(),
            dispatcher: Dispatcher::Demand,
            intensity: Intensity::DEFAULT,
            stage: PhantomData,
        }
    }

    pub(crate) fn outlet(&mut self) -> Result<Arc<Outlet<Out>>, StartError> {
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
        Ok(Arc::new(Outlet::new(stage, dispatcher, self.buffer)))
    }

    pub(crate) fn inlets(&mut self) -> Result<Inlets<In>, StartError> {
        let stage = self.name;
        if self.wanted.is_empty() {
            return Err(StartError::NoSubscription { stage });
        }
        for Wanted { output, demand } in &self.wanted {
            let (max, min) = (demand.max_demand(), demand.min_demand());
            if min >= max {
                return Err(StartError::Demand { stage, max, min });
            }
            let partitions = output.outlet.partitions();
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
        let inlet = |Wanted { output, demand }: Wanted<In>| {
            Inlet::new(output.outlet, output.partition.unwrap_or(0), demand, meters.clone())
        };
        let inlets = std::mem::take(&mut self.wanted).into_iter().map(inlet).collect();
        Ok(Inlets::new(inlets, meters))
    }

    pub(crate) fn life(&self) -> Life {
        let (max_restarts, within) = self.intensity;
        Life::new(self.name, Intensity::new(max_restarts, within))
    }
}

impl<K: Takes, In, Out> Stage<'_, K, In, Out> {
    /// Takes items from another stage. A stage may subscribe to several; their items come in no order.
    pub fn subscribe(mut self, output: &Output<In>, demand: Demand) -> Self {
        self.wanted.push(Wanted { output: output.clone(), demand });
        self
    }
}

impl<K: Gives, In, Out> Stage<'_, K, In, Out> {
    /// What it keeps while nobody asks: the last 10,000 items by default. Each partition keeps as many.
    ///
    /// A producer-consumer takes no input while it keeps anything, so its buffer has no size.
    pub fn buffer(mut self, buffer: Buffer) -> Self {
        self.buffer = buffer;
        self
    }

    /// Sends each item to all subscribers, at the pace of the slowest, instead of to the one that asked for most.
    pub fn broadcast(mut self) -> Self
    where
        Out: Clone,
    {
        self.dispatcher = Dispatcher::Broadcast { clone: Out::clone };
        self
    }

    /// Sends each item to the partition `choose(item) % partitions`; see [`Output::partition`] and [`hash`](crate::hash).
    ///
    /// Items of one partition keep their order. Every partition should have a subscriber: the buffer of one that has none
    /// fills, and then its items block the others'.
    pub fn partition(mut self, partitions: usize, choose: impl Fn(&Out) -> u64 + Send + Sync + 'static) -> Self {
        self.dispatcher = Dispatcher::Partition { partitions, choose: Box::new(choose) };
        self
    }
}

impl<K: Lives, In, Out> Stage<'_, K, In, Out> {
    /// How often its code may crash in a time before it is not started again and the stage ends: 3 times in 5 s by
    /// default, which is OTP's intensity.
    pub fn max_restarts(mut self, max_restarts: usize, within: Duration) -> Self {
        self.intensity = (max_restarts, within);
        self
    }
}

impl<K, In, Out> fmt::Debug for Stage<'_, K, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A stage was described in a way that cannot work.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It takes items, and was not told from where.
    #[error("stage {stage} subscribes to nothing")]
    NoSubscription {
        /// Its name.
        stage: &'static str,
    },
    /// It would never ask, or never ask again.
    #[error("stage {stage}: min_demand is {min}, it must be less than max_demand, which is {max}")]
    Demand {
        /// Its name.
        stage: &'static str,
        /// Its `max_demand`.
        max: usize,
        /// Its `min_demand`.
        min: usize,
    },
    /// It has a partition dispatcher without partitions.
    #[error("stage {stage} has 0 partitions, it must have 1 or more")]
    NoPartitions {
        /// Its name.
        stage: &'static str,
    },
    /// Its partitions have no room for items that one of them has not asked for.
    #[error("stage {stage} has partitions and a buffer of 0 items, it must be 1 or more")]
    NoBuffer {
        /// Its name.
        stage: &'static str,
    },
    /// It subscribes to a stage that has partitions, and to none of them.
    #[error("stage {stage} subscribes to {of}, which has {partitions} partitions, and names none of them")]
    PartitionNotNamed {
        /// Its name.
        stage: &'static str,
        /// The stage with the partitions.
        of: &'static str,
        /// How many it has.
        partitions: usize,
    },
    /// It subscribes to a partition that is not there.
    #[error("stage {stage} subscribes to partition {partition} of {of}, which has {partitions}, counted from 0")]
    NoSuchPartition {
        /// Its name.
        stage: &'static str,
        /// The stage with the partitions.
        of: &'static str,
        /// The number that it does not have.
        partition: usize,
        /// How many it has.
        partitions: usize,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
