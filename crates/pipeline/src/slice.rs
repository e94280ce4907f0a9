//! How long a stage may go on before its thread is let go to others.
//!
//! tokio counts steps, whatever they take: a hundred batches of some nanoseconds are as much as a hundred of a millisecond.
//! To let a thread go wakes another one, so batches that take less than that wakes count together.

use crate::crank::WAKE_UP;
use std::time::Duration;
use tokio::task::coop::consume_budget;

/// The most steps that count as one, where no time passes.
const STEPS: u32 = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether another task has run after so many steps that took so long.
    async fn others_have_run(steps: u32, took: Duration) -> bool {
        // From here on with a new budget.
        tokio::task::yield_now().await;
        let other = tokio::spawn(async {});
        let mut slice = Slice::default();
        for _ in 0..steps {
            slice.spend(took).await;
        }
        other.is_finished()
    }

    #[tokio::test]
    async fn others_run_after_as_many_wake_ups_as_tokio_allows_steps() {
        // tokio allows 128.
        assert!(!others_have_run(128, WAKE_UP).await);
        assert!(others_have_run(129, WAKE_UP).await);
        assert!(!others_have_run(4 * 128, WAKE_UP / 4).await);
        assert!(others_have_run(4 * 129, WAKE_UP / 4).await);
    }

    #[tokio::test]
    async fn others_run_even_where_no_time_passes() {
        assert!(others_have_run((STEPS + 1) * 130, Duration::ZERO).await);
    }
}
