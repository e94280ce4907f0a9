//! The bounds of histograms' buckets, for all exporters that have buckets.

/// Of the framework's durations, in seconds: a handler takes microseconds, one that asks a database milliseconds, and
/// 10 s is where clients give up on a push.
pub(crate) const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Of an application's histograms, whose unit nobody knows: fine for seconds, and for milliseconds too.
pub(crate) const ANY: [f64; 23] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0,
    500.0, 1000.0, 2500.0, 5000.0, 10_000.0,
];
