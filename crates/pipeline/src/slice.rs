//! How long a stage may go on before its thread is let go to others.
//!
//! tokio counts steps, whatever they take: a hundred batches of some nanoseconds are as much as a hundred of a millisecond.
//! To let a thread go wakes another one, so batches that take less than that wakes count together.

use crate::crank::WAKE_UP;
use std::time::Duration;
use tokio::task::coop::consume_budget;

/// The most steps that count as one, where no time passes.
pub(crate) const STEPS: u32 = 32;

#[derive(Default)]
pub(crate) struct Slice {
    spent: Duration,
}

impl Slice {
    /// A step took so long; lets the thread go when it is time.
    pub(crate) async fn spend(&mut self, took: Duration) {
        self.spent += took.max(WAKE_UP / STEPS);
        if self.spent >= WAKE_UP {
            self.spent = Duration::ZERO;
            consume_budget().await;
        }
    }
}
