//! What came of it.

use std::fmt;
use std::time::Duration;

/// A deploy after which everybody was back.
#[derive(Debug)]
pub struct Outcome {
    /// Clients that took part.
    pub clients: usize,
    /// Each node's restart.
    pub restarts: Vec<Restart>,
    /// From a client's connection until its join was answered.
    pub joins: Spread,
    /// From when a client saw somebody leave until it saw them again.
    pub absences: Spread,
    /// Joins in the busiest 100 ms.
    pub busiest: usize,
}

/// One node's restart.
#[derive(Debug)]
pub struct Restart {
    /// Which one.
    pub node: String,
    /// From SIGTERM to the end of its process.
    pub ended: Duration,
    /// From SIGTERM until every client was joined and saw its whole room.
    pub back: Duration,
}

/// How durations are spread.
#[derive(Debug)]
pub struct Spread {
    /// How many there were.
    pub count: usize,
    /// Half took no longer.
    pub p50: Duration,
    /// Of a hundred, one took longer.
    pub p99: Duration,
    /// None took longer.
    pub longest: Duration,
}

impl Spread {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        let at = |share: f64| {
            let index = (durations.len() as f64 * share) as usize;
            durations.get(index.min(durations.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Spread { count: durations.len(), p50: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { count, p50, p99, longest } = self;
        let [p50, p99, longest] = [p50, p99, longest].map(Duration::as_millis);
        write!(f, "{p50} ms, 99 % at most {p99} ms, longest {longest} ms, of {count}")
    }
}

impl fmt::Display for Outcome {
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
        writeln!(f, "join, median: {}", self.joins)?;
        writeln!(f, "away, as others see it, median: {}", self.absences)?;
        write!(f, "joins in the busiest 100 ms: {}", self.busiest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_of_a_hundred_has_its_middle_its_last_but_one_and_its_longest() {
        let spread = Spread::of((1..=100).rev().map(Duration::from_millis).collect());
        let millis = [spread.p50, spread.p99, spread.longest].map(|duration| duration.as_millis());
        assert_eq!((spread.count, millis), (100, [51, 100, 100]));
        assert_eq!(Spread::of(Vec::new()).longest, Duration::ZERO);
    }
}
