//! A pipeline owns the tasks of its stages: it starts them, waits for them, drains them, and ends them when it is
//! dropped.

use crate::life::StageFailed;
use crate::outlet::Outlet;
use crate::stop::Stop;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// Stages that belong together.
///
/// Stages are started in the order in which items flow, since a stage subscribes to outputs. They run on the tokio runtime
/// that `start` is called on.
///
/// Call [`drain`](Self::drain) before the process ends. A pipeline that is dropped ends its tasks at their next await;
/// what was under way is lost.
pub struct Pipeline {
    stages: JoinSet<Result<(), StageFailed>>,
    names: HashMap<Id, &'static str>,
    queues: Vec<Weak<dyn Close>>,
    tell_stop: watch::Sender<bool>,
    stop: Stop,
}

/// What a drain closes.
trait Close: Send + Sync {
    fn close(&self);
}

impl<T: Send> Close for Outlet<T> {
    fn close(&self) {
        Outlet::close(self);
    }
}

impl Pipeline {
    /// One without stages.
    #[expect(clippy::new_without_default, reason = "a pipeline is a thing that runs, not a value with a default")]
    pub fn new() -> Self {
        let (tell_stop, stop) = Stop::new();
        Pipeline { stages: JoinSet::new(), names: HashMap::new(), queues: Vec::new(), tell_stop, stop }
    }

    /// Waits until all stages have ended by themselves: their producers have no more, and the handles of their queues are
    /// dropped. A source never ends by itself.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// As soon as a stage has crashed too often. The others go on.
    pub async fn finished(&mut self) -> Result<(), StageFailed> {
        while let Some(ended) = self.stages.join_next_with_id().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    /// Ends the pipeline without losing what is in it: nothing new is taken or made, what is buffered is delivered, what is
    /// in flight is finished. What is not done at the deadline is dropped.
    ///
    /// From its start pushes are refused, producers and sources are not asked any more, and a future of theirs that waits
    /// is dropped. Each stage ends when what comes before it has ended and it has nothing left; a source when besides it
    /// knows what became of its items.
    ///
    /// # Errors
    ///
    /// When stages were still at work at the deadline, or have crashed too often before.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), DrainError> {
        let started = Instant::now();
        tracing::info!(stages = self.stages.len(), "draining a pipeline");
        self.tell_stop.send_replace(true);
        self.queues.iter().filter_map(Weak::upgrade).for_each(|queue| queue.close());
        let mut failed = None;
        while let Ok(ended) = timeout_at(started + deadline, self.stages.join_next_with_id()).await {
            let Some(ended) = ended else {
                tracing::info!(took = ?started.elapsed(), "a pipeline has ended");
                return failed.map_or(Ok(()), |stage| Err(DrainError::StageFailed(stage)));
            };
            failed = self.ended(ended).err().or(failed);
        }
        let mut stages: Vec<&'static str> = self.names.into_values().collect();
        stages.sort_unstable();
        tracing::warn!(?stages, "pipeline stages are still at work at the deadline");
        self.stages.shutdown().await;
        Err(DrainError::Deadline { deadline, stages })
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), StageFailed>), JoinError>) -> Result<(), StageFailed> {
        match ended {
            Ok((id, result)) => {
                self.names.remove(&id);
                result
            }
            // Its code is caught; what is left is a drop of its own values that panics.
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

    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    pub(crate) fn close_at_drain<T: Send + 'static>(&mut self, queue: &Arc<Outlet<T>>) {
        let queue: Arc<dyn Close> = queue.clone();
        self.queues.push(Arc::downgrade(&queue));
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("stages", &self.names).finish_non_exhaustive()
    }
}

/// A drain did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// These stages were still at work at the deadline. They have been ended, and what they had is lost.
    #[error("still at work after {deadline:?}: {}", stages.join(", "))]
    Deadline {
        /// How long the drain waited.
        deadline: Duration,
        /// Their names.
        stages: Vec<&'static str>,
    },
    /// A stage crashed too often; all others have drained.
    #[error(transparent)]
    StageFailed(#[from] StageFailed),
}
