//! A histogram of seconds with fixed bounds: recording is one search in 41 bounds and one atomic addition, and it never
//! grows.
//!
//! The page takes the difference of two snapshots and reads its quantiles from it.

use metrics::HistogramFn;
use std::array;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 10 µs to 10.5 s, each the square root of two times the one before: a quantile is off by a fifth at most.
const BOUNDS: usize = 41;

static SECONDS: LazyLock<[f64; BOUNDS]> = LazyLock::new(|| array::from_fn(|n| 10e-6 * 2f64.powf(n as f64 / 2.0)));

/// The upper bounds of the buckets, in seconds; the last bucket has none.
pub(crate) fn bounds() -> &'static [f64] {
    &*SECONDS
}

/// How many values fell into each bucket.
#[derive(Debug)]
pub(crate) struct Buckets([AtomicU64; BOUNDS + 1]);

impl Buckets {
    pub(crate) fn new() -> Self {
        Buckets(array::from_fn(|_| AtomicU64::new(0)))
    }

    /// The buckets that are not empty, each with its number and its count.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).enumerate().filter(|(_, count)| *count > 0)
    }
}

impl HistogramFn for Buckets {
    fn record(&self, seconds: f64) {
        let bucket = SECONDS.partition_point(|bound| *bound < seconds);
        self.0[bucket].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_falls_below_its_bound_and_above_the_one_before() {
        let buckets = Buckets::new();
        for seconds in [0.0, 10e-6, 0.002, 10.0, 1e9, f64::INFINITY] {
            buckets.record(seconds);
        }
        let counts: Vec<_> = buckets.counts().collect();
        let of_two_ms = bounds().iter().position(|bound| *bound >= 0.002).unwrap();
        assert_eq!(counts, [(0, 2), (of_two_ms, 1), (40, 1), (41, 2)]);
        assert!(bounds().is_sorted() && bounds()[40] > 10.0);
    }
}
