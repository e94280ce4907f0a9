//! The kinds of stages, and the methods of a pipeline that describe one of each.
//!
//! Applications meet a kind only as a parameter of [`Stage`]: it decides which options the stage has and how it starts.

use super::delivery::Delivery;
use super::sealed::Kind;
use super::source::Source;
use super::{HasInput, HasOutput, Stage, Supervised};
use crate::pipeline::Pipeline;
use crate::supervisor::restart::Restart;
use std::fmt;
use std::time::Duration;

impl Pipeline {
    /// Describes a stage that other tasks push items into. The name is the stage's label in metrics and logs.
    pub fn queue<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, QueueKind, Nothing, T> {
        Stage::new(self, name, QueueKind)
    }

    /// Describes a stage that makes items on demand.
    pub fn producer<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, ProducerKind, Nothing, T> {
        Stage::new(self, name, ProducerKind)
    }

    /// Describes a stage that fetches items from a source on demand.
    pub fn source<S: Source>(&mut self, name: &'static str) -> Stage<'_, SourceKind, Nothing, Delivery<S>> {
        Stage::new(self, name, SourceKind { poll_interval: SourceKind::POLL_INTERVAL })
    }

    /// Describes a stage that takes batches and makes other items of them.
    pub fn producer_consumer<T, U>(&mut self, name: &'static str) -> Stage<'_, ProducerConsumerKind, T, U>
    where
        T: Send + 'static,
        U: Send + 'static,
    {
        Stage::new(self, name, ProducerConsumerKind)
    }

    /// Describes a stage that takes one batch after the other.
    pub fn consumer<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, ConsumerKind, T, Nothing> {
        Stage::new(self, name, ConsumerKind)
    }

    /// Describes a stage that works at each item in a task of its own, at as many at once as the `max_demand` of its
    /// subscription.
    pub fn workers<T: Send + 'static>(&mut self, name: &'static str) -> Stage<'_, WorkersKind<T>, T, Nothing> {
        Stage::new(self, name, WorkersKind { restart: Restart::Temporary })
    }
}

/// The input of a stage without an input, or the output of one without an output.
#[derive(Debug)]
pub enum Nothing {}

/// Other tasks push items into the stage.
#[derive(Debug)]
pub struct QueueKind;

/// The stage makes items on demand.
#[derive(Debug)]
pub struct ProducerKind;

/// The stage fetches items from a source on demand.
#[derive(Debug)]
pub struct SourceKind {
    pub(super) poll_interval: Duration,
}

/// The stage takes batches and makes other items of them.
#[derive(Debug)]
pub struct ProducerConsumerKind;

/// The stage takes batches.
#[derive(Debug)]
pub struct ConsumerKind;

/// The stage works at each item in a task of its own.
pub struct WorkersKind<T> {
    pub(super) restart: Restart<T>,
}

impl SourceKind {
    /// How long a source rests after it had no items, or failed.
    const POLL_INTERVAL: Duration = Duration::from_secs(1);
}

impl Kind for QueueKind {}
impl Kind for ProducerKind {}
impl Kind for SourceKind {}
impl Kind for ProducerConsumerKind {}
impl Kind for ConsumerKind {}
impl<T> Kind for WorkersKind<T> {}
impl HasOutput for QueueKind {}
impl HasOutput for ProducerKind {}
impl HasOutput for SourceKind {}
impl HasOutput for ProducerConsumerKind {}
impl HasInput for ProducerConsumerKind {}
impl HasInput for ConsumerKind {}
impl<T> HasInput for WorkersKind<T> {}
impl Supervised for ProducerKind {}
impl Supervised for SourceKind {}
impl Supervised for ProducerConsumerKind {}
impl Supervised for ConsumerKind {}

impl<T> fmt::Debug for WorkersKind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkersKind")
    }
}
