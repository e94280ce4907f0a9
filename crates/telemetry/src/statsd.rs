//! The StatsD exporter over UDP, with DogStatsD's tags, and a listener that prints the lines.
//!
//! The application's measurements are sent at once, a line each ([`recorder`]). The aggregates of the framework and the
//! process are sent once a second ([`aggregate`]). `cadence` formats the lines ([`series`]); the queue and the thread
//! that sends them are ours ([`sender`]), since cadence's own thread loses the last lines at the end of a program.

mod aggregate;
mod line;
mod listener;
mod recorder;
mod sender;
mod series;

pub(crate) use aggregate::AggregateWriter;
pub use line::Line;
pub use listener::StatsdListener;
pub(crate) use recorder::StatsdRecorder;
pub(crate) use sender::Sender;

use crate::aggregate::Aggregates;
use cadence::StatsdClient;
use std::sync::Arc;

impl Sender {
    /// Returns the recorder of the application's measurements.
    pub(crate) fn recorder(&self) -> StatsdRecorder {
        StatsdRecorder::new(Arc::new(StatsdClient::from_sink("", self.queue())))
    }

    /// Returns the writer of the aggregates, which the upkeep thread runs.
    pub(crate) fn aggregate_writer(&self, aggregates: Arc<Aggregates>) -> AggregateWriter {
        AggregateWriter::new(aggregates, self.queue())
    }
}
