//! A stage's output, as applications hold it: other stages subscribe to it.
//!
//! [`Output`] is a handle. The stage's task and its subscribers share the state behind it, [`shared`]. A subscriber holds a
//! [`subscription`].

pub(crate) mod shared;
pub(crate) mod subscription;

use shared::SharedOutput;
use std::fmt;
use std::sync::Arc;

/// The output of a stage, to subscribe to. Cheap to clone; an `Output` keeps no task running.
pub struct Output<T> {
    pub(crate) shared: Arc<SharedOutput<T>>,
    /// The partition to subscribe to.
    pub(crate) partition: Option<usize>,
}

impl<T> Output<T> {
    pub(crate) fn new(shared: Arc<SharedOutput<T>>) -> Self {
        Output { shared, partition: None }
    }

    /// Returns one partition of the output, counted from 0. Subscribers of a partition share its items as those of an
    /// unpartitioned output do.
    ///
    /// A number past the last partition is an error when a stage that subscribes to it starts.
    #[must_use]
    pub fn partition(&self, partition: usize) -> Self {
        Output { shared: self.shared.clone(), partition: Some(partition) }
    }

    /// Returns how many items are in the buffer: made, and not requested yet.
    pub fn queued(&self) -> usize {
        self.shared.buffered()
    }

    /// Returns the stage's name.
    pub fn stage(&self) -> &'static str {
        self.shared.stage()
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        Output { shared: self.shared.clone(), partition: self.partition }
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("stage", &self.stage()).field("partition", &self.partition).finish()
    }
}
