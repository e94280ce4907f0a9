//! A histogram of seconds that costs a look at four bounds and two atomic additions, whoever reads it and however often.
//!
//! Each bucket keeps how many values fell into it, and their sum: counts, the whole sum, and the mean of a bucket are exact.

use crate::shard::{Padded, SHARDS, shard};
use metrics::HistogramFn;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ten to a decade, the R10 series of ISO 3: the bounds that Prometheus shows are among them.
const STEPS: [f64; 10] = [1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0];
/// From 1 µs to 10 s.
const DECADES: [f64; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
const BOUNDS: usize = STEPS.len() * DECADES.len() + 1;

/// Upper bounds in seconds; a last bucket has none.
pub(crate) static SECONDS: [f64; BOUNDS] = bounds();

const fn bounds() -> [f64; BOUNDS] {
    let mut bounds = [10.0; BOUNDS];
    let mut n = 0;
    while n < BOUNDS - 1 {
        bounds[n] = STEPS[n % STEPS.len()] * DECADES[n / STEPS.len()];
        n += 1;
    }
    bounds
}

/// The bounds in nanoseconds, and behind them some that nothing reaches.
static NANOSECONDS: [u64; BOUNDS + AHEAD] = nanoseconds();

/// For each number of binary digits, the first bound that may not be below a number of nanoseconds that has so many.
static FIRST: [u8; u64::BITS as usize + 1] = first();

/// The most bounds below which numbers of as many binary digits may be.
const AHEAD: usize = 4;

const fn nanoseconds() -> [u64; BOUNDS + AHEAD] {
    let mut nanoseconds = [u64::MAX; BOUNDS + AHEAD];
    let mut n = 0;
    while n < BOUNDS {
        // As a float it may be a little less than the whole number that it is.
        nanoseconds[n] = (bounds()[n] * 1e9 + 0.5) as u64;
        n += 1;
    }
    nanoseconds
}

const fn first() -> [u8; u64::BITS as usize + 1] {
    let bounds = nanoseconds();
    let mut first = [0; u64::BITS as usize + 1];
    let mut digits = 1;
    while digits < first.len() {
        let smallest = 1 << (digits - 1);
        let mut n = 0;
        while bounds[n] < smallest && n < BOUNDS {
            n += 1;
        }
        first[digits] = n as u8;
        digits += 1;
    }
    first
}

/// How many bounds are below. Without a branch: what comes is as hard to foresee as what it measures.
fn bucket(nanoseconds: u64) -> usize {
    let first = usize::from(FIRST[(u64::BITS - nanoseconds.leading_zeros()) as usize]);
    first + NANOSECONDS[first..first + AHEAD].iter().filter(|bound| **bound < nanoseconds).count()
}

/// Sharded: 9 KiB.
#[derive(Debug)]
pub(crate) struct Durations([Padded<[Cell; BOUNDS + 1]>; SHARDS]);

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What fell into one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    pub(crate) count: u64,
    /// Of all its values together.
    pub(crate) nanoseconds: u64,
}

impl Durations {
    pub(crate) fn new() -> Self {
        Durations(array::from_fn(|_| Padded(array::from_fn(|_| Cell::default()))))
    }

    /// All buckets, as many as there are bounds and one more.
    pub(crate) fn read(&self) -> Vec<Bucket> {
        let sum = |read: fn(&Cell) -> &AtomicU64, n: usize| {
            self.0.iter().map(|shard| read(&shard.0[n]).load(Ordering::Relaxed)).sum()
        };
        let bucket = |n| Bucket { count: sum(|cell| &cell.count, n), nanoseconds: sum(|cell| &cell.nanoseconds, n) };
        (0..=BOUNDS).map(bucket).collect()
    }
}

impl HistogramFn for Durations {
    fn record(&self, seconds: f64) {
        // What is negative or no number counts as 0.
        let nanoseconds = (seconds * 1e9) as u64;
        let cell = &self.0[shard()].0[bucket(nanoseconds)];
        cell.count.fetch_add(1, Ordering::Relaxed);
        cell.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Bucket {
    /// What came since.
    pub(crate) fn since(self, before: Bucket) -> Bucket {
        Bucket { count: self.count - before.count, nanoseconds: self.nanoseconds.saturating_sub(before.nanoseconds) }
    }

    /// Of its values, in seconds.
    pub(crate) fn mean(self) -> f64 {
        self.nanoseconds as f64 / 1e9 / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound;
    use proptest::prelude::*;

    #[test]
    fn counts_and_sums_are_exact_in_every_bucket() {
        let durations = Durations::new();
        for seconds in [0.0, 1e-6, 0.0021, 0.0023, 10.0, 3600.0, f64::NAN, -1.0] {
            durations.record(seconds);
        }
        let buckets = durations.read();
        let filled: Vec<_> = (0..).zip(&buckets).filter(|(_, bucket)| bucket.count > 0).collect();
        let milliseconds = SECONDS.iter().position(|bound| *bound > 0.0023).unwrap();
        let counts: Vec<_> = filled.iter().map(|(n, bucket)| (*n, bucket.count)).collect();
        assert_eq!(counts, [(0, 4), (milliseconds, 2), (BOUNDS - 1, 1), (BOUNDS, 1)]);
        assert_eq!(buckets[milliseconds].nanoseconds, 4_400_000);
        assert!((buckets[milliseconds].mean() - 0.0022).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn what_is_measured_falls_below_the_first_bound_that_it_does_not_exceed(
            digits in 0..=u64::BITS, rest: u64, bound in 0..BOUNDS, by in -1i64..=1,
        ) {
            let random = rest.checked_shr(u64::BITS - digits).unwrap_or(0);
            for nanoseconds in [random, NANOSECONDS[bound].saturating_add_signed(by)] {
                prop_assert_eq!(bucket(nanoseconds), NANOSECONDS[..BOUNDS].partition_point(|bound| *bound < nanoseconds));
            }
        }
    }

    #[test]
    fn the_bounds_rise_and_those_that_prometheus_shows_are_among_them() {
        assert!(SECONDS.is_sorted() && SECONDS[0] == 1e-6 && SECONDS[BOUNDS - 1] == 10.0);
        for shown in bound::SECONDS {
            assert!(SECONDS.iter().any(|bound| (bound / shown - 1.0).abs() < 1e-9), "{shown}");
        }
    }
}
