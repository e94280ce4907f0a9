//! Limits of restarts after a crash. Pure: the caller passes the time.
//!
//! A stage's supervisor has an [`Intensity`]; workers restart single items by a [`Restart`].

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How often a stage is restarted within a time: OTP's intensity, 3 times in 5 s by default.
#[derive(Debug, Clone)]
pub(crate) struct Intensity {
    max_restarts: usize,
    within: Duration,
    crashes: VecDeque<Instant>,
}

impl Intensity {
    pub(crate) const DEFAULT: (usize, Duration) = (3, Duration::from_secs(5));

    pub(crate) fn new(max_restarts: usize, within: Duration) -> Self {
        Intensity { max_restarts, within, crashes: VecDeque::new() }
    }

    /// Counts a crash at `now`, and returns whether to restart.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        while self.crashes.front().is_some_and(|crash| now.duration_since(*crash) > self.within) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        self.crashes.len() <= self.max_restarts
    }
}

/// Whether the item of a crashed worker is tried again.
pub(crate) enum Restart<T> {
    /// The item is lost.
    Temporary,
    /// The item is tried again.
    Transient {
        /// At most so often.
        max_restarts: usize,
        /// Copies the item for the next attempt.
        clone: fn(&T) -> T,
    },
}

impl<T> Restart<T> {
    /// Copies an item for the next attempt, if it may be restarted again after `restarts` times.
    pub(crate) fn spare(&self, item: &T, restarts: usize) -> Option<T> {
        match self {
            Restart::Transient { max_restarts, clone } if restarts < *max_restarts => Some(clone(item)),
            Restart::Temporary | Restart::Transient { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_crashes_too_often_within_the_time_is_not_restarted() {
        let mut intensity = Intensity::new(3, Duration::from_secs(5));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(intensity.allows(at(0)) && intensity.allows(at(1)) && intensity.allows(at(2)));
        assert!(!intensity.allows(at(5)));
    }

    #[test]
    fn crashes_outside_of_the_time_do_not_count() {
        let mut intensity = Intensity::new(1, Duration::from_secs(5));
        let start = Instant::now();
        assert!((0..10).all(|n| intensity.allows(start + Duration::from_secs(6 * n))));
    }

    #[test]
    fn with_0_restarts_the_first_crash_ends_the_stage() {
        assert!(!Intensity::new(0, Duration::from_secs(5)).allows(Instant::now()));
    }
}
