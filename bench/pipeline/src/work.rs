//! The work at an item: the same in all ways that the benchmark compares.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long the work at an item takes, and whether it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Adds a number. Shows the cost of the pipeline itself.
    Nothing,
    /// Goes to the end of the runtime's queue once, as work does that waits for a socket that is ready.
    Yield,
    /// Computes for about 5 µs. The shortest work with a target.
    Compute,
}

impl Work {
    pub(crate) const ALL: [Work; 3] = [Work::Nothing, Work::Yield, Work::Compute];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Nothing => "does nothing",
            Work::Yield => "yields once",
            Work::Compute => "computes 5 us",
        }
    }

    /// Returns whether the target applies: to items of 5 µs and more.
    pub(crate) fn has_target(self) -> bool {
        self == Work::Compute
    }

    /// Works at an item, and adds it to the sum of the items.
    pub(crate) async fn run(self, item: u64, sum: &Sum) {
        match self {
            Work::Nothing => {}
            Work::Yield => tokio::task::yield_now().await,
            Work::Compute => drop(black_box(compute(item))),
        }
        sum.add(item);
    }
}

/// Computes for about 5 µs.
fn compute(item: u64) -> u64 {
    (0..2_500).fold(item, |hash, round| (hash ^ round).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17))
}

/// The sum of all items that were worked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum(Arc<AtomicU64>);

impl Sum {
    fn add(&self, item: u64) {
        self.0.fetch_add(item, Ordering::Relaxed);
    }

    /// Returns whether each item below `items` was worked at.
    pub(crate) fn is_complete(&self, items: u64) -> bool {
        self.0.load(Ordering::Relaxed) == items * (items - 1) / 2
    }
}
