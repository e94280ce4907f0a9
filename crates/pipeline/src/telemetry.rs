//! What stages say of themselves: `metrics` instruments, looked up once when a stage starts, and `tracing` events.
//!
//! | instrument | kind | unit | of which stages |
//! |---|---|---|---|
//! | `bennu.pipeline.queued` | gauge | items in the stage's buffer, not asked for yet | with an output |
//! | `bennu.pipeline.demand` | gauge | items that its subscribers have asked for and not got | with an output |
//! | `bennu.pipeline.emitted` | counter | items that it took in or made | with an output |
//! | `bennu.pipeline.dropped` | counter | items that its full buffer had no place for | with an output |
//! | `bennu.pipeline.in_flight` | gauge | items delivered to it and not finished; at most `max_demand` | with a subscription |
//! | `bennu.pipeline.time_in_stage` | histogram | seconds that it worked at a batch, or at a worker's item with all attempts; items that take less than 20 µs are measured up to 32 together | with a subscription |
//! | `bennu.pipeline.lost` | counter | items that it had in hand when it crashed, and were not tried again | with a subscription |
//! | `bennu.pipeline.unacknowledged` | gauge | deliveries that are neither acknowledged nor dropped | sources |
//! | `bennu.pipeline.source_failures` | counter | calls of a source that failed and are made again | sources |
//! | `bennu.pipeline.crashes` | counter | panics and errors of its code | all |
//! | `bennu.pipeline.restarts` | counter | times that it, or a worker's item, was started again | all |
//!
//! The one label is `stage`, the name that the program gave it: a `&'static str`, so its values are bounded. Two stages of
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

/// Of a stage with an output.
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

/// Of a stage with subscriptions.
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

/// Of a stage that runs user code.
pub(crate) struct LifeMeters {
    pub(crate) crashes: Counter,
    pub(crate) restarts: Counter,
}

impl LifeMeters {
    pub(crate) fn new(stage: &'static str) -> Self {
        LifeMeters {
            crashes: metrics::counter!("bennu.pipeline.crashes", "stage" => stage),
            restarts: metrics::counter!("bennu.pipeline.restarts", "stage" => stage),
        }
    }
}

/// Of a source.
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
