//! The last departures of this node's own presences: what lets a range of changes be cut out of the current state.
//!
//! Presences that joined after some dot are found in the state itself. Those that had joined before it and left after
//! it are not: they are here. With both, any range that reaches back to the oldest remembered departure is exact, so
//! there is no need to keep deltas of past periods.

use std::collections::VecDeque;

/// A bounded log.
pub(crate) struct History {
    departures: VecDeque<Departure>,
    capacity: usize,
    /// All departures after this dot are remembered.
    floor: u64,
}

#[derive(Clone, Copy)]
struct Departure {
    /// The dot of the leave itself.
    at: u64,
    /// The dot of the presence that went.
    gone: u64,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        History { departures: VecDeque::new(), capacity, floor: 0 }
    }

    pub(crate) fn push(&mut self, at: u64, gone: u64) {
        self.departures.push_back(Departure { at, gone });
        if self.departures.len() > self.capacity {
            let oldest = self.departures.pop_front().expect("one was just pushed");
            self.floor = oldest.at;
        }
    }

    /// Whether every departure after this dot is remembered.
    pub(crate) fn reaches(&self, since: u64) -> bool {
        since >= self.floor
    }

    /// Departures after `since`, oldest first: `(at, gone)`.
    pub(crate) fn after(&self, since: u64) -> impl Iterator<Item = (u64, u64)> {
        let start = self.departures.partition_point(|departure| departure.at <= since);
        self.departures.range(start..).map(|departure| (departure.at, departure.gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_and_knows_how_far_it_reaches() {
        let mut history = History::new(2);
        assert!(history.reaches(0));
        for at in [10, 20, 30] {
            history.push(at, at - 5);
        }
        assert!(!history.reaches(9) && history.reaches(10));
        assert_eq!(history.after(10).collect::<Vec<_>>(), [(20, 15), (30, 25)]);
        assert_eq!(history.after(20).collect::<Vec<_>>(), [(30, 25)]);
        assert_eq!(history.after(30).count(), 0);
    }
}
