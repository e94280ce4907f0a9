//! A stage's output, as users hold it: what others subscribe to.

use crate::demand::Demand;
use crate::outlet::Outlet;
use std::fmt;
use std::sync::Arc;

/// The output of a stage, to subscribe to. Cheap to clone; holding it keeps nothing running.
pub struct Output<T> {
    pub(crate) outlet: Arc<Outlet<T>>,
    /// What subscribers get of it.
    pub(crate) partition: Option<usize>,
}

impl<T> Output<T> {
    pub(crate) fn new(outlet: Arc<Outlet<T>>) -> Self {
        Output { outlet, partition: None }
    }

    /// One partition of it, counted from 0. Subscribers of a partition share its items as those of an unpartitioned
    /// output do.
    ///
    /// A number that it does not have is an error when a stage that subscribes to it starts.
    #[must_use]
    pub fn partition(&self, partition: usize) -> Self {
        Output { outlet: self.outlet.clone(), partition: Some(partition) }
    }

    /// How many items lie in its buffer: made, and not asked for yet.
    pub fn queued(&self) -> usize {
        self.outlet.held()
    }

    /// The stage's name.
    pub fn stage(&self) -> &'static str {
        self.outlet.stage()
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        Output { outlet: self.outlet.clone(), partition: self.partition }
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("stage", &self.stage()).field("partition", &self.partition).finish()
    }
}

/// A subscription that is asked for and not made yet.
pub(crate) struct Wanted<T> {
    pub(crate) output: Output<T>,
    pub(crate) demand: Demand,
}
