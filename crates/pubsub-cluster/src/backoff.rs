//! How long to wait before the next attempt to connect. Pure but for its dice.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);

/// The longest wait. A connection that held for as long as this counts as a good one.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 50 ms to 5 s. Each wait is between half of that and all of it, so that the nodes of a cluster do not
/// come back to their engine all at once.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The wait before the next attempt.
    pub fn wait(&mut self) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts += 1;
        // A new hasher's keys are random; no other dice are at hand in the standard library.
        let dice = RandomState::new().hash_one(self.attempts) as u32;
        longest / 2 + (longest / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }

    /// A connection was good: the next wait is a short one.
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
            let wait = backoff.wait().as_millis();
            assert!((longest / 2..=longest).contains(&wait), "{wait} ms of {longest}");
        }
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits.len() > 10, "{waits:?}");
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
