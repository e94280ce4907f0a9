//! When what crashed is started again. Pure: the caller brings the time.
//!
//! Stages have an [`Intensity`], workers' items a [`Restart`].

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How often a stage may crash before it gives up: OTP's intensity, 3 times in 5 seconds by default.
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

    /// Whether to start again after a crash at this time.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        while self.crashes.front().is_some_and(|crash| now.duration_since(*crash) > self.within) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        self.crashes.len() <= self.max_restarts
    }
}

/// What happens to an item whose worker crashed.
pub(crate) enum Restart<T> {
    /// It is lost.
    Temporary,
    /// It is tried again.
    Transient {
        /// How often.
        max_restarts: usize,
        /// Makes the item that is kept for the next attempt.
        clone: fn(&T) -> T,
    },
}

impl<T> Restart<T> {
    /// What is kept for another attempt, after so many restarts.
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
    fn a_stage_that_crashes_too_often_in_the_time_gives_up() {
        let mut intensity = Intensity::new(3, Duration::from_secs(5));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(intensity.allows(at(0)) && intensity.allows(at(1)) && intensity.allows(at(2)));
        assert!(!intensity.allows(at(5)));
    }

    #[test]
    fn crashes_that_lie_back_do_not_count() {
        let mut intensity = Intensity::new(1, Duration::from_secs(5));
        let start = Instant::now();
        assert!((0..10).all(|n| intensity.allows(start + Duration::from_secs(6 * n))));
    }

    #[test]
    fn without_restarts_the_first_crash_is_the_last() {
        assert!(!Intensity::new(0, Duration::from_secs(5)).allows(Instant::now()));
    }
}
