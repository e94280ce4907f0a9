//! How a stage's task lives: its code runs, crashes, and starts anew, until it ends or crashes too often.

use crate::crash::{Crash, catch};
use crate::restart::Intensity;
use crate::telemetry::LifeMeters;
use tokio::time::Instant;

/// A stage crashed more often than it may and has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage} crashed too often: {why}")]
pub struct StageFailed {
    /// Its name.
    pub stage: &'static str,
    /// Its last crash.
    pub why: String,
}

pub(crate) struct Life {
    stage: &'static str,
    intensity: Intensity,
    meters: LifeMeters,
}

impl Life {
    pub(crate) fn new(stage: &'static str, intensity: Intensity) -> Self {
        Life { stage, intensity, meters: LifeMeters::new(stage) }
    }

    /// Lives until a life ends by itself. After a crash, `mourn` is called before the next begins.
    pub(crate) async fn run<F>(mut self, mut live: impl FnMut() -> F, mourn: impl Fn()) -> Result<(), StageFailed>
    where
        F: Future<Output = Result<(), Crash>>,
    {
        loop {
            let Err(crash) = catch(live()).await else { return Ok(()) };
            mourn();
            self.meters.crashes.increment(1);
            tracing::error!(stage = self.stage, why = %crash, "a stage crashed");
            if !self.intensity.allows(Instant::now()) {
                tracing::error!(stage = self.stage, why = %crash, "a stage crashed too often, it has ended");
                return Err(StageFailed { stage: self.stage, why: crash.to_string() });
            }
            self.meters.restarts.increment(1);
            // A life that crashes before it first waits must not keep its thread to itself.
            tokio::task::yield_now().await;
        }
    }
}
