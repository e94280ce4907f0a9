//! The periods and limits of a tracker, and their validation. Names and defaults are those of `Phoenix.Tracker`.

use std::time::Duration;

/// The options of a tracker. All nodes of a cluster should have the same options, and must have the same `pool_size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The time between two broadcasts of a node's changes. 1.5 s.
    pub broadcast_period: Duration,
    /// A node without changes sends a heartbeat every so many periods. 10, which is 15 s.
    pub max_silent_periods: u32,
    /// A node that has sent nothing for so long is down, and its presences are hidden. 30 s: one heartbeat may be lost.
    pub down_period: Duration,
    /// A node that has sent nothing for so long is removed with its presences. 20 minutes.
    pub permdown_period: Duration,
    /// The number of tombstones (departed presences) that a node retains. A peer that missed at most so many departures
    /// receives a delta, any other the full state. 10,000, which take 160 KB once they exist. Phoenix retains deltas of
    /// 100, 1,000 and 10,000 changes; deltas are computed exactly here, so one number is enough.
    pub max_delta_size: usize,
    /// The number of shards among which the topics are distributed; each has a lock and two tasks. 1. More shards help
    /// when several topics change thousands of times a second. Nodes with different numbers do not see each other.
    pub pool_size: usize,
    /// The minimum time between two diffs of one topic. 50 ms: a user does not notice it, and a burst of thousands of
    /// joins produces 20 diffs a second instead of thousands. With zero, each change is delivered as soon as the
    /// handler is idle.
    pub diff_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            broadcast_period: Duration::from_millis(1500),
            max_silent_periods: 10,
            down_period: Duration::from_secs(30),
            permdown_period: Duration::from_secs(20 * 60),
            max_delta_size: 10_000,
            pool_size: 1,
            diff_interval: Duration::from_millis(50),
        }
    }
}

/// Options that contradict each other.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The option is zero.
    #[error("{name} is zero, it must be greater than zero")]
    Zero {
        /// The option.
        name: &'static str,
    },
    /// The period is too short.
    #[error("{name} is {value:?}, it must be at least {minimum:?}: {reason}")]
    TooShort {
        /// The option.
        name: &'static str,
        /// Its value.
        value: Duration,
        /// The shortest value that the other options permit.
        minimum: Duration,
        /// The reason of the minimum.
        reason: &'static str,
    },
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for OptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let numbers = [
            ("broadcast_period", self.broadcast_period.is_zero()),
            ("max_silent_periods", self.max_silent_periods == 0),
            ("max_delta_size", self.max_delta_size == 0),
            ("pool_size", self.pool_size == 0),
        ];
        if let Some((name, _)) = numbers.into_iter().find(|(_, zero)| *zero) {
            return Err(OptionsError::Zero { name });
        }
        let silence = self.broadcast_period.saturating_mul(self.max_silent_periods.saturating_add(1));
        let periods = [
            (
                "down_period",
                self.down_period,
                silence,
                "an idle node, which sends only heartbeats, would be marked as down",
            ),
            ("permdown_period", self.permdown_period, self.down_period, "a node must be down before it is removed"),
        ];
        match periods.into_iter().find(|(_, value, minimum, _)| value < minimum) {
            Some((name, value, minimum, reason)) => Err(OptionsError::TooShort { name, value, minimum, reason }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent() {
        assert_eq!(Options::default().check(), Ok(()));
    }

    #[test]
    fn an_error_contains_the_option_its_value_and_its_limit() {
        let zero = Options { pool_size: 0, ..Options::default() };
        assert_eq!(zero.check(), Err(OptionsError::Zero { name: "pool_size" }));
        let down = Options { down_period: Duration::from_secs(16), ..Options::default() };
        let error = down.check().unwrap_err().to_string();
        assert!(error.starts_with("down_period is 16s, it must be at least 16.5s"), "{error}");
        let permdown = Options { permdown_period: Duration::from_secs(29), ..Options::default() };
        assert!(matches!(permdown.check(), Err(OptionsError::TooShort { name: "permdown_period", .. })));
    }
}
