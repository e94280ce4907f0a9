//! The report of a run.

use std::fmt;
use std::time::Duration;

/// The figures of a rolling restart after which every client was back.
#[derive(Debug)]
pub struct Report {
    /// The number of clients.
    pub clients: usize,
    /// The restart of each node, in order.
    pub restarts: Vec<Restart>,
    /// The times from a client's connection to the reply to its join.
    pub joins: Distribution,
    /// The times from a leave to the next join of one presence, as the other clients saw them.
    pub absences: Distribution,
    /// The most joins within 100 ms.
    pub busiest: usize,
}

/// The restart of one node.
#[derive(Debug)]
pub struct Restart {
    /// The node's name.
    pub node: String,
    /// The time from SIGTERM to the end of the process.
    pub ended: Duration,
    /// The time from SIGTERM until every client was joined and saw its whole room.
    pub back: Duration,
}

/// The distribution of durations.
#[derive(Debug)]
pub struct Distribution {
    /// The number of durations.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest duration.
    pub longest: Duration,
}

impl Distribution {
    /// Returns the distribution of these durations.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        let at = |share: f64| {
            let index = (durations.len() as f64 * share) as usize;
            durations.get(index.min(durations.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Distribution { count: durations.len(), p50: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Distribution { count, p50, p99, longest } = self;
        let [p50, p99, longest] = [p50, p99, longest].map(Duration::as_millis);
        write!(f, "p50 {p50} ms, p99 {p99} ms, longest {longest} ms, of {count}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} clients", self.clients)?;
        for Restart { node, ended, back } in &self.restarts {
            writeln!(
                f,
                "{node}: ended after {:.1} s, all back after {:.1} s",
                ended.as_secs_f64(),
                back.as_secs_f64()
            )?;
        }
        writeln!(f, "join: {}", self.joins)?;
        writeln!(f, "away, as others see it: {}", self.absences)?;
        write!(f, "joins in the busiest 100 ms: {}", self.busiest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_of_a_hundred_durations_has_its_median_its_99th_percentile_and_its_longest() {
        let distribution = Distribution::of((1..=100).rev().map(Duration::from_millis).collect());
        let millis = [distribution.p50, distribution.p99, distribution.longest].map(|duration| duration.as_millis());
        assert_eq!((distribution.count, millis), (100, [51, 100, 100]));
        assert_eq!(Distribution::of(Vec::new()).longest, Duration::ZERO);
    }
}
