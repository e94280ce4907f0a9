//! A pipeline owns the tasks of its stages.
//!
//! Applications call it; stage builders spawn their tasks on it. It waits for the tasks, drains them, and aborts them when it
//! is dropped. A drain closes the queues and sends the drain signal to producers and sources; each further stage ends when
//! its subscriptions have ended.

use crate::output::shared::SharedOutput;
use crate::supervisor::StageFailed;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// A set of stages with their tasks.
///
/// Stages are started in the order in which items flow, since a stage subscribes to outputs. They run on the tokio runtime
/// that `start` is called on.
///
/// Call [`drain`](Self::drain) before the process ends. Dropping a pipeline aborts its tasks at their next await; their
/// items are lost.
pub struct Pipeline {
    stages: JoinSet<Result<(), StageFailed>>,
    names: HashMap<Id, &'static str>,
    queues: Vec<Weak<dyn Close>>,
    draining: watch::Sender<bool>,
}

/// An output that a drain closes.
trait Close: Send + Sync {
    fn close(&self);
}

impl<T: Send> Close for SharedOutput<T> {
    fn close(&self) {
        SharedOutput::close(self);
    }
}

impl Pipeline {
    /// Makes a pipeline without stages.
    #[expect(clippy::new_without_default, reason = "a pipeline is a thing that runs, not a value with a default")]
    pub fn new() -> Self {
        Pipeline {
            stages: JoinSet::new(),
            names: HashMap::new(),
            queues: Vec::new(),
            draining: watch::Sender::new(false),
        }
    }

    /// Waits until all stages have ended by themselves: producers have no more items, and all handles of queues are dropped.
    /// A source never ends by itself.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// As soon as a stage has crashed too often. The others go on.
    pub async fn finished(&mut self) -> Result<(), StageFailed> {
        while let Some(ended) = self.stages.join_next_with_id().await {
            self.remove_stage(ended)?;
        }
        Ok(())
    }

    /// Ends the pipeline without losing items: it accepts and makes no new ones, delivers the buffered ones, and finishes
    /// those in flight. Items that are unfinished at the deadline are dropped.
    ///
    /// From its start pushes are rejected and producers and sources are not called any more; a future of theirs that waits is
    /// dropped. Each stage ends when its subscriptions have ended and it has no items left. A source ends when besides all its
    /// items have been acknowledged or released.
    ///
    /// # Errors
    ///
    /// When stages were still at work at the deadline, or have crashed too often before.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), DrainError> {
        let started = Instant::now();
        tracing::info!(stages = self.stages.len(), "draining a pipeline");
        self.draining.send_replace(true);
        self.queues.iter().filter_map(Weak::upgrade).for_each(|queue| queue.close());
        let mut failed = None;
        while let Ok(ended) = timeout_at(started + deadline, self.stages.join_next_with_id()).await {
            let Some(ended) = ended else {
                tracing::info!(took = ?started.elapsed(), "a pipeline has ended");
                return failed.map_or(Ok(()), |stage| Err(DrainError::StageFailed(stage)));
            };
            failed = self.remove_stage(ended).err().or(failed);
        }
        let mut stages: Vec<&'static str> = self.names.into_values().collect();
        stages.sort_unstable();
        tracing::warn!(?stages, "pipeline stages are still at work at the deadline");
        self.stages.shutdown().await;
        Err(DrainError::Deadline { deadline, stages })
    }

    fn remove_stage(&mut self, ended: Result<(Id, Result<(), StageFailed>), JoinError>) -> Result<(), StageFailed> {
        match ended {
            Ok((id, result)) => {
                self.names.remove(&id);
                result
            }
            // The supervisor catches panics of the stage's code. Only a panic in a `Drop` of its values gets here.
            Err(error) => {
                let stage = self.names.remove(&error.id()).unwrap_or("unknown");
                Err(StageFailed { stage, why: error.to_string() })
            }
        }
    }

    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        stage: impl Future<Output = Result<(), StageFailed>> + Send + 'static,
    ) {
        let id = self.stages.spawn(stage).id();
        self.names.insert(id, name);
    }

    pub(crate) fn drain_signal(&self) -> DrainSignal {
        DrainSignal(self.draining.subscribe())
    }

    pub(crate) fn close_at_drain<T: Send + 'static>(&mut self, queue: &Arc<SharedOutput<T>>) {
        let queue: Arc<dyn Close> = queue.clone();
        self.queues.push(Arc::downgrade(&queue));
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("stages", &self.names).finish_non_exhaustive()
    }
}

/// Ends producers and sources at a drain.
pub(crate) struct DrainSignal(watch::Receiver<bool>);

impl DrainSignal {
    /// Waits until the pipeline drains or is dropped.
    pub(crate) async fn received(&self) {
        let _dropped = self.0.clone().wait_for(|draining| *draining).await.is_err();
    }
}

/// The error of a drain that lost items or found a failed stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// These stages were still at work at the deadline. They have been aborted, and their items are lost.
    #[error("could not drain the pipeline within {deadline:?}, still at work: {}", stages.join(", "))]
    Deadline {
        /// How long the drain waited.
        deadline: Duration,
        /// The names of the stages.
        stages: Vec<&'static str>,
    },
    /// A stage crashed too often; all others have drained.
    #[error(transparent)]
    StageFailed(#[from] StageFailed),
}
