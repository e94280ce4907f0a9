//! The `metrics` instruments and `tracing` events of stages. A stage looks its instruments up once, when it starts.
//!
//! | instrument | kind | unit | stages |
//! |---|---|---|---|
//! | `bennu.pipeline.queued` | gauge | items in the stage's buffer, not requested yet | with an output |
//! | `bennu.pipeline.demand` | gauge | items that its subscribers have requested and not received | with an output |
//! | `bennu.pipeline.emitted` | counter | items that it accepted or made | with an output |
//! | `bennu.pipeline.dropped` | counter | items that its full buffer dropped | with an output |
//! | `bennu.pipeline.in_flight` | gauge | items delivered to it and not finished; at most `max_demand` | with a subscription |
//! | `bennu.pipeline.time_in_stage` | histogram | seconds that it worked at a batch, or at a worker's item with all attempts | with a subscription |
//! | `bennu.pipeline.lost` | counter | items that were in progress at a crash and were not tried again | with a subscription |
//! | `bennu.pipeline.unacknowledged` | gauge | deliveries that are neither acknowledged nor dropped | sources |
//! | `bennu.pipeline.source_failures` | counter | calls of a source that failed and are repeated | sources |
//! | `bennu.pipeline.crashes` | counter | panics and errors of its code | all |
//! | `bennu.pipeline.restarts` | counter | restarts of its code, or of a worker's item | all |
//!
//! The one label is `stage`, the stage's name in the program: a `&'static str`, so its values are bounded. Two stages with
//! one name in a process share their series. Install the recorder before you start a stage.
//!
//! | level | event | fields |
//! |---|---|---|
//! | error | `a worker crashed` | stage, why, restarts, again |
//! | error | `a stage crashed`, `a stage crashed too often, it has ended` | stage, why |
//! | warn | `a full buffer drops items` (once, until it has been empty) | stage, size, keep |
//! | warn | `a source failed, trying again` | stage, what, why, after |
//! | warn | `pipeline stages are still at work at the deadline` | stages |
//! | info | `draining a pipeline`, `a pipeline has ended` | stages; took |

use metrics::{Counter, Gauge, Histogram};

/// The instruments of a stage with an output.
pub(crate) struct OutputMeters {
    pub(crate) queued: Gauge,
    pub(crate) demand: Gauge,
    pub(crate) emitted: Counter,
    pub(crate) dropped: Counter,
}

impl OutputMeters {
    pub(crate) fn new(stage: &'static str) -> Self {
        OutputMeters {
            queued: metrics::gauge!("bennu.pipeline.queued", "stage" => stage),
            demand: metrics::gauge!("bennu.pipeline.demand", "stage" => stage),
            emitted: metrics::counter!("bennu.pipeline.emitted", "stage" => stage),
            dropped: metrics::counter!("bennu.pipeline.dropped", "stage" => stage),
        }
    }
}

/// The instruments of a stage with subscriptions.
pub(crate) struct InputMeters {
    pub(crate) in_flight: Gauge,
    pub(crate) time_in_stage: Histogram,
    pub(crate) lost: Counter,
}

impl InputMeters {
    pub(crate) fn new(stage: &'static str) -> Self {
        InputMeters {
            in_flight: metrics::gauge!("bennu.pipeline.in_flight", "stage" => stage),
            time_in_stage: metrics::histogram!("bennu.pipeline.time_in_stage", "stage" => stage),
            lost: metrics::counter!("bennu.pipeline.lost", "stage" => stage),
        }
    }
}

/// The instruments of a stage that runs user code.
pub(crate) struct SupervisorMeters {
    pub(crate) crashes: Counter,
    pub(crate) restarts: Counter,
}

impl SupervisorMeters {
    pub(crate) fn new(stage: &'static str) -> Self {
        SupervisorMeters {
            crashes: metrics::counter!("bennu.pipeline.crashes", "stage" => stage),
            restarts: metrics::counter!("bennu.pipeline.restarts", "stage" => stage),
        }
    }
}

/// The instruments of a source.
pub(crate) struct SourceMeters {
    pub(crate) unacknowledged: Gauge,
    pub(crate) failures: Counter,
}

impl SourceMeters {
    pub(crate) fn new(stage: &'static str) -> Self {
        SourceMeters {
            unacknowledged: metrics::gauge!("bennu.pipeline.unacknowledged", "stage" => stage),
            failures: metrics::counter!("bennu.pipeline.source_failures", "stage" => stage),
        }
    }
}
