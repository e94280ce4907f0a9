//! StatsD over UDP, with DogStatsD's tags: what is sent, and a listener that shows it.
//!
//! What an application measures goes out line by line and at once ([`recorder`]). What the framework and the process say of
//! themselves is summed, and sent once a second ([`sum`]). `cadence` writes the lines ([`form`]); the queue that they wait in
//! and the thread that sends them are ours ([`sender`]), since cadence's own loses the last ones when a program ends.

mod form;
mod line;
mod listener;
mod recorder;
mod sender;
mod sum;

pub use line::Line;
pub use listener::StatsdListener;
pub(crate) use recorder::LineRecorder;
pub(crate) use sender::Sender;
pub(crate) use sum::SumLines;

use crate::sum::Sums;
use cadence::StatsdClient;
use std::sync::Arc;

impl Sender {
    /// What writes an application's lines.
    pub(crate) fn recorder(&self) -> LineRecorder {
        LineRecorder::new(Arc::new(StatsdClient::from_sink("", self.queue())))
    }

    /// What writes the sums.
    pub(crate) fn sum_lines(&self, sums: Arc<Sums>) -> SumLines {
        SumLines::new(sums, self.queue())
    }
}
