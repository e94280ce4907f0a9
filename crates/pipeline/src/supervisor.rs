//! Restarts a stage's code after a crash, until the code ends by itself or crashes too often.
//!
//! Each stage with code of the application's owns a [`Supervisor`] and runs its code in it, within the stage's one task.
//! [`crash`] catches errors and panics; [`restart`] limits the restarts.

pub(crate) mod crash;
pub(crate) mod restart;

use crate::telemetry::SupervisorMeters;
use crash::{HandlerError, catch};
use restart::Intensity;
use tokio::time::Instant;

/// A stage crashed more often than its intensity allows, and has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage} crashed too often: {why}")]
pub struct StageFailed {
    /// The stage's name.
    pub stage: &'static str,
    /// The text of its last crash.
    pub why: String,
}

pub(crate) struct Supervisor {
    stage: &'static str,
    intensity: Intensity,
    meters: SupervisorMeters,
}

impl Supervisor {
    pub(crate) fn new(stage: &'static str, intensity: Intensity) -> Self {
        Supervisor { stage, intensity, meters: SupervisorMeters::new(stage) }
    }

    /// Runs the future that `start` makes until one completes without a crash. Calls `on_crash` after each crash, before the
    /// next start.
    pub(crate) async fn run<F>(mut self, mut start: impl FnMut() -> F, on_crash: impl Fn()) -> Result<(), StageFailed>
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        loop {
            let Err(crash) = catch(start()).await else { return Ok(()) };
            on_crash();
            self.meters.crashes.increment(1);
            tracing::error!(stage = self.stage, why = %crash, "a stage crashed");
            if !self.intensity.allows(Instant::now()) {
                tracing::error!(stage = self.stage, why = %crash, "a stage crashed too often, it has ended");
                return Err(StageFailed { stage: self.stage, why: crash.to_string() });
            }
            self.meters.restarts.increment(1);
            // Code that crashes before its first await must not keep the thread busy.
            tokio::task::yield_now().await;
        }
    }
}
