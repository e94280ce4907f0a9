//! The wait before the next attempt to connect. Pure, except for the random jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait. A connection that lasted as long resets the backoff.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(5);

/// An exponential backoff from 50 ms to 5 s. Each wait is between half of the current value and all of it, so that the
/// nodes of a cluster do not reconnect at the same moment.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << self.attempts.min(16)).min(MAX_WAIT);
        self.attempts += 1;
        // A new hasher has random keys; the standard library has no other random numbers.
        let random = RandomState::new().hash_one(self.attempts) as u32;
        longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Starts again with the shortest wait, after a connection that worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_differ() {
        let mut backoff = Backoff::default();
        for longest in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
            let wait = backoff.next_wait().as_millis();
            assert!((longest / 2..=longest).contains(&wait), "{wait} ms of {longest}");
        }
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| backoff.next_wait()).collect();
        assert!(waits.len() > 10, "{waits:?}");
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST_WAIT);
    }
}
