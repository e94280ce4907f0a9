//! How often a tracker speaks, and how long it waits for others. The names and defaults are Phoenix's.

use std::time::Duration;

/// The options of a tracker. All nodes of a cluster should have the same; `pool_size` must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How often changes are told to other nodes. 1.5 s.
    pub broadcast_period: Duration,
    /// A node that has nothing to tell lets others know that it lives every so many periods. 10, which makes 15 s.
    pub max_silent_periods: u32,
    /// A node that was not heard for so long is down, and its presences are hidden. 30 s: it may miss one sign of life.
    pub down_period: Duration,
    /// A node that was not heard for so long is forgotten. 20 minutes.
    pub permdown_period: Duration,
    /// How many departures are remembered. A node that missed no more of them gets a range of changes instead of
    /// everything. 10,000, which are 160 KB when they have happened. Phoenix keeps deltas of 100, 1,000 and 10,000
    /// changes; a range is cut exactly here, so that one number does.
    pub max_delta_size: usize,
    /// How many shards the topics are spread over, each with a lock and two tasks of its own. 1. More help when several
    /// topics change thousands of times a second. Nodes with another number are not seen.
    pub pool_size: usize,
    /// The least time between two diffs of one topic. 50 ms: a person does not notice, and a burst of thousands of
    /// joins makes 20 diffs a second and not thousands. Zero tells each change as soon as the handler is free.
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
    /// It may not be zero.
    #[error("{name} is zero, it must be more")]
    Zero {
        /// The option.
        name: &'static str,
    },
    /// It may not be so short.
    #[error("{name} is {value:?}, it must be {least:?} or more: {why}")]
    TooShort {
        /// The option.
        name: &'static str,
        /// What it was set to.
        value: Duration,
        /// What it must be at least.
        least: Duration,
        /// What would go wrong.
        why: &'static str,
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
            ("down_period", self.down_period, silence, "a node that has nothing to tell would be taken for down"),
            ("permdown_period", self.permdown_period, self.down_period, "a node is down before it is forgotten"),
        ];
        match periods.into_iter().find(|(_, value, least, _)| value < least) {
            Some((name, value, least, why)) => Err(OptionsError::TooShort { name, value, least, why }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_agree_with_each_other() {
        assert_eq!(Options::default().check(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_its_limit() {
        let zero = Options { pool_size: 0, ..Options::default() };
        assert_eq!(zero.check(), Err(OptionsError::Zero { name: "pool_size" }));
        let down = Options { down_period: Duration::from_secs(16), ..Options::default() };
        let error = down.check().unwrap_err().to_string();
        assert!(error.starts_with("down_period is 16s, it must be 16.5s or more"), "{error}");
        let gone = Options { permdown_period: Duration::from_secs(29), ..Options::default() };
        assert!(matches!(gone.check(), Err(OptionsError::TooShort { name: "permdown_period", .. })));
    }
}
