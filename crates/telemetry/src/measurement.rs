//! The functions with which an application measures: counts, gauges, durations, and other distributions.
//!
//! Each call looks its instrument up, which takes about a microsecond with two exporters. For more than some ten
//! thousand measurements a second, keep a handle instead: `let pushes = metrics::counter!("pushes");`.

use metrics::{Key, Label, Level, Metadata, with_recorder};
use std::future::Future;
use std::time::Instant;

/// The metadata target of a timing: a histogram of seconds that StatsD receives in milliseconds, `|ms`.
pub(crate) const TIMING: &str = "bennu_telemetry::timing";

static PLAIN: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
static TIMED: Metadata<'static> = Metadata::new(TIMING, Level::INFO, Some(module_path!()));

/// Names and values of tags, all literals of the program.
type Tags = [(&'static str, &'static str)];

/// Counts `by` occurrences.
///
/// StatsD receives `name:by|c`; Prometheus has a counter, `name_total`.
///
/// ```
/// bennu_telemetry::increment("channel_join", 1, &[("status", "fail"), ("channel", "StatsChannel")]);
/// ```
pub fn increment(name: &'static str, by: u64, tags: &Tags) {
    with_recorder(|recorder| recorder.register_counter(&key(name, tags), &PLAIN).increment(by));
}

/// Sets a gauge to its current value.
///
/// StatsD receives `name:value|g`.
///
/// ```
/// bennu_telemetry::gauge("orders.waiting", 12.0, &[]);
/// ```
pub fn gauge(name: &'static str, value: f64, tags: &Tags) {
    with_recorder(|recorder| recorder.register_gauge(&key(name, tags), &PLAIN).set(value));
}

/// Records one value of a distribution. The unit is the application's choice.
///
/// StatsD receives `name:value|h`; Prometheus has a histogram with bounds from 0.0005 to 10,000.
///
/// ```
/// bennu_telemetry::histogram("pipeline.push_delivered", 25.0, &[]);
/// ```
pub fn histogram(name: &'static str, value: f64, tags: &Tags) {
    with_recorder(|recorder| recorder.register_histogram(&key(name, tags), &PLAIN).record(value));
}

/// Measures the duration of a closure and returns the closure's value. A closure that panics is not measured.
///
/// StatsD receives milliseconds, `name:712|ms`; Prometheus and OpenTelemetry have a histogram of seconds,
/// `name_seconds`.
///
/// ```
/// let sum: u64 = bennu_telemetry::measure("sum", &[], || (1..=10).sum());
/// assert_eq!(sum, 55);
/// ```
pub fn measure<T>(name: &'static str, tags: &Tags, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = work();
    record_duration(name, tags, started);
    value
}

/// Measures the duration of a future from its first poll to its end, waiting included, and returns the future's value.
/// The output is that of [`measure`].
///
/// Cancellation: a future that is dropped before its end is not measured.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let answer = bennu_telemetry::measure_async("stats_channel.ping", &[], async { "pong" }).await;
/// assert_eq!(answer, "pong");
/// # });
/// ```
pub async fn measure_async<T>(name: &'static str, tags: &Tags, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let value = work.await;
    record_duration(name, tags, started);
    value
}

fn record_duration(name: &'static str, tags: &Tags, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    with_recorder(|recorder| recorder.register_histogram(&key(name, tags), &TIMED).record(seconds));
}

fn key(name: &'static str, tags: &Tags) -> Key {
    if tags.is_empty() {
        return Key::from_static_name(name);
    }
    let labels = tags.iter().map(|&(tag, value)| Label::from_static_parts(tag, value));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}
