//! Histograms: the bucket bounds of all exporters, and the sharded histogram of seconds behind the aggregates.
//!
//! Recording a duration costs four comparisons and two atomic additions, however many exporters read the histogram.
//! Each bucket keeps the count and the sum of its values, so the total count, the total sum, and the mean of a bucket
//! are exact.

use crate::shard::{CachePadded, SHARDS, shard};
use metrics::HistogramFn;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bounds that exporters use for the framework's durations, in seconds. A handler takes microseconds, one with a
/// database query milliseconds, and clients time a push out after 10 s.
pub(crate) const EXPORTED_BOUNDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The bounds that exporters use for an application's histograms. Their unit is not known; the bounds fit seconds and
/// milliseconds.
pub(crate) const APPLICATION_BOUNDS: [f64; 23] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0,
    500.0, 1000.0, 2500.0, 5000.0, 10_000.0,
];

/// Ten steps a decade, the R10 series of ISO 3. [`EXPORTED_BOUNDS`] are among them.
const STEPS: [f64; 10] = [1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0];
/// From 1 µs to 10 s.
const DECADES: [f64; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
const BOUNDS: usize = STEPS.len() * DECADES.len() + 1;

/// The inclusive upper bounds of the buckets of [`Aggregates`](crate::Aggregates), in seconds: 1 µs to 10 s, ten a
/// decade. A last bucket has no bound.
pub static BUCKET_BOUNDS: [f64; BOUNDS] = bounds();

const fn bounds() -> [f64; BOUNDS] {
    let mut bounds = [10.0; BOUNDS];
    let mut n = 0;
    while n < BOUNDS - 1 {
        bounds[n] = STEPS[n % STEPS.len()] * DECADES[n / STEPS.len()];
        n += 1;
    }
    bounds
}

/// The bounds in nanoseconds, followed by [`MAX_CANDIDATES`] maximal ones so that a slice of candidates never ends
/// early.
static NANOSECONDS: [u64; BOUNDS + MAX_CANDIDATES] = nanoseconds();

/// For each number of binary digits, the index of the first bound that is not below all numbers with so many digits.
static FIRST_CANDIDATE: [u8; u64::BITS as usize + 1] = first_candidates();

/// The most bounds that lie between two numbers with equally many binary digits.
const MAX_CANDIDATES: usize = 4;

const fn nanoseconds() -> [u64; BOUNDS + MAX_CANDIDATES] {
    let mut nanoseconds = [u64::MAX; BOUNDS + MAX_CANDIDATES];
    let mut n = 0;
    while n < BOUNDS {
        // The float may be slightly less than the whole number that it stands for.
        nanoseconds[n] = (bounds()[n] * 1e9 + 0.5) as u64;
        n += 1;
    }
    nanoseconds
}

const fn first_candidates() -> [u8; u64::BITS as usize + 1] {
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

/// Returns the index of the bucket, which is the number of bounds below the value. The code has no branch, since the
/// processor could not predict it from one duration to the next.
fn bucket_index(nanoseconds: u64) -> usize {
    let first = usize::from(FIRST_CANDIDATE[(u64::BITS - nanoseconds.leading_zeros()) as usize]);
    first + NANOSECONDS[first..first + MAX_CANDIDATES].iter().filter(|bound| **bound < nanoseconds).count()
}

/// A sharded histogram of seconds: 9 KiB.
#[derive(Debug)]
pub(crate) struct DurationHistogram([CachePadded<[Cell; BOUNDS + 1]>; SHARDS]);

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// One bucket of a histogram of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bucket {
    /// The number of values.
    pub count: u64,
    /// The sum of the values in nanoseconds.
    pub nanoseconds: u64,
}

impl DurationHistogram {
    pub(crate) fn new() -> Self {
        DurationHistogram(array::from_fn(|_| CachePadded(array::from_fn(|_| Cell::default()))))
    }

    /// Returns all buckets: one for each bound, and the last one.
    pub(crate) fn buckets(&self) -> Vec<Bucket> {
        let sum = |read: fn(&Cell) -> &AtomicU64, n: usize| {
            self.0.iter().map(|shard| read(&shard.0[n]).load(Ordering::Relaxed)).sum()
        };
        let bucket = |n| Bucket { count: sum(|cell| &cell.count, n), nanoseconds: sum(|cell| &cell.nanoseconds, n) };
        (0..=BOUNDS).map(bucket).collect()
    }
}

impl HistogramFn for DurationHistogram {
    fn record(&self, seconds: f64) {
        // A negative value and NaN count as 0.
        let nanoseconds = (seconds * 1e9) as u64;
        let cell = &self.0[shard()].0[bucket_index(nanoseconds)];
        cell.count.fetch_add(1, Ordering::Relaxed);
        cell.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Bucket {
    /// Returns the difference to an earlier read of the same bucket.
    pub(crate) fn since(self, before: Bucket) -> Bucket {
        Bucket { count: self.count - before.count, nanoseconds: self.nanoseconds.saturating_sub(before.nanoseconds) }
    }

    /// Returns the mean of the values in seconds.
    pub(crate) fn mean(self) -> f64 {
        self.nanoseconds as f64 / 1e9 / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_and_sums_are_exact_in_every_bucket() {
        let histogram = DurationHistogram::new();
        for seconds in [0.0, 1e-6, 0.0021, 0.0023, 10.0, 3600.0, f64::NAN, -1.0] {
            histogram.record(seconds);
        }
        let buckets = histogram.buckets();
        let filled: Vec<_> = (0..).zip(&buckets).filter(|(_, bucket)| bucket.count > 0).collect();
        let milliseconds = BUCKET_BOUNDS.iter().position(|bound| *bound > 0.0023).unwrap();
        let counts: Vec<_> = filled.iter().map(|(n, bucket)| (*n, bucket.count)).collect();
        assert_eq!(counts, [(0, 4), (milliseconds, 2), (BOUNDS - 1, 1), (BOUNDS, 1)]);
        assert_eq!(buckets[milliseconds].nanoseconds, 4_400_000);
        assert!((buckets[milliseconds].mean() - 0.0022).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_value_falls_below_the_first_bound_that_it_does_not_exceed(
            digits in 0..=u64::BITS, rest: u64, bound in 0..BOUNDS, by in -1i64..=1,
        ) {
            let random = rest.checked_shr(u64::BITS - digits).unwrap_or(0);
            for nanoseconds in [random, NANOSECONDS[bound].saturating_add_signed(by)] {
                let searched = NANOSECONDS[..BOUNDS].partition_point(|bound| *bound < nanoseconds);
                prop_assert_eq!(bucket_index(nanoseconds), searched);
            }
        }
    }

    #[test]
    fn the_bounds_rise_and_contain_those_that_are_exported() {
        assert!(BUCKET_BOUNDS.is_sorted() && BUCKET_BOUNDS[0] == 1e-6 && BUCKET_BOUNDS[BOUNDS - 1] == 10.0);
        for exported in EXPORTED_BOUNDS {
            assert!(BUCKET_BOUNDS.iter().any(|bound| (bound / exported - 1.0).abs() < 1e-9), "{exported}");
        }
    }
}
