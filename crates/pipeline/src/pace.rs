//! How quick a crew's items are, and how many a worker takes at a time because of that.
//!
//! Noted by workers after each share. Supervisors ask it for what a new worker gets, workers for when to let their thread go.

use crate::crank::WAKE_UP;
use crate::exchange::Share;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Items that are done in this time each, without waiting, are quick: a lock costs a thousandth of it, and to wait for a
/// few of them costs nobody anything.
const QUICK: Duration = Duration::from_micros(20);

/// No item takes less, whatever the clock says.
const LEAST: Duration = Duration::from_nanos(40);

/// The most items that a worker takes at a time. With more, what taking costs is no longer seen in what an item costs.
const MOST: usize = 32;

/// What a worker takes of items that are not quick.
const ONE: Share = Share { most: 1, few: 1 };

/// How many items are done before another worker would have begun, by the last that were done; at least one.
pub(crate) struct Pace(AtomicUsize);

impl Pace {
    pub(crate) fn new() -> Self {
        Pace(AtomicUsize::new(1))
    }

    /// How many items that is.
    pub(crate) fn few(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What a new worker gets: not more than is not worth sharing.
    pub(crate) fn first(&self) -> Share {
        let few = self.few().min(MOST);
        Share { most: few, few }
    }

    /// Notes how long each item of a share took that did not wait; says what to take next.
    pub(crate) fn next(&self, share: Share, each: Duration) -> Share {
        if each >= QUICK {
            return self.slow();
        }
        let few = (WAKE_UP.as_nanos() / each.as_nanos().max(LEAST.as_nanos())) as usize;
        self.0.store(few.max(1), Ordering::Relaxed);
        Share { most: (share.most * 2).min(MOST), few }
    }

    /// Notes that an item waits or is slow; says what to take next.
    pub(crate) fn slow(&self) -> Share {
        self.0.store(1, Ordering::Relaxed);
        ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(most: usize, few: usize) -> Share {
        Share { most, few }
    }

    #[test]
    fn quick_items_are_taken_more_and_more_at_a_time() {
        let pace = Pace::new();
        assert_eq!(pace.first(), ONE);
        let mut next = pace.first();
        for most in [2, 4, 8, 16, 32, 32] {
            next = pace.next(next, Duration::from_nanos(500));
            assert_eq!((next, pace.few()), (share(most, 10), 10));
        }
        assert_eq!(pace.first(), share(10, 10));
    }

    #[test]
    fn no_worker_takes_more_than_the_most_however_quick_they_are() {
        let pace = Pace::new();
        assert_eq!(pace.next(ONE, Duration::ZERO), share(2, 125));
        assert_eq!((pace.first(), pace.few()), (share(MOST, MOST), 125));
    }

    #[test]
    fn items_that_take_longer_than_a_wake_up_are_shared_and_slow_ones_taken_one_by_one() {
        let pace = Pace::new();
        assert_eq!(pace.next(ONE, Duration::from_micros(6)), share(2, 0));
        assert_eq!(pace.first(), ONE);
        pace.next(ONE, Duration::ZERO);
        assert_eq!((pace.next(share(32, 32), QUICK), pace.first()), (ONE, ONE));
        pace.next(ONE, Duration::ZERO);
        assert_eq!((pace.slow(), pace.first()), (ONE, ONE));
    }
}
