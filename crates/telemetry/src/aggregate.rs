//! The aggregates: the framework's and the process's instruments, kept once as atomics that each exporter reads in its
//! own interval.
//!
//! [`Telemetry`](crate::Telemetry) registers the instruments through [`AggregateRecorder`]; StatsD, Prometheus and
//! OpenTelemetry read them. A message therefore costs the same with one exporter or with three. The dashboard's recorder
//! has aggregates of its own, at the cost of a second addition. Exporters that receive each value cost several times as much as the 3 % of a message that instruments may
//! cost. Every histogram here is one of seconds. The number of series grows only with the number of keys.

use crate::histogram::{Bucket, DurationHistogram};
use crate::shard::ShardedCounter;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{Registry, Storage};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name prefixes of the instruments that are aggregated.
pub(crate) const AGGREGATED_PREFIXES: [&str; 2] = ["bennu.", "process_"];

/// Returns whether an instrument of this name is aggregated.
pub(crate) fn is_aggregated(name: &str) -> bool {
    AGGREGATED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A recorder that several owners share.
pub(crate) type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// A recorder that keeps the current values of its instruments: counters, gauges, and histograms of seconds.
///
/// A count costs one atomic addition; a duration costs four comparisons and two atomic additions. Threads add to 8
/// shards, so a counter has 1 KiB and a histogram 9 KiB. Descriptions are ignored. The dashboard reads one of these.
pub struct Aggregates(Registry<Key, AtomicCells>);

impl Aggregates {
    /// Creates aggregates without instruments; registration adds them.
    pub fn new() -> Self {
        Aggregates(Registry::new(AtomicCells))
    }

    /// Calls `visit` with each counter and its total.
    pub fn counters(&self, mut visit: impl FnMut(&Key, u64)) {
        self.0.visit_counters(|key, counter| visit(key, counter.total()));
    }

    /// Calls `visit` with each gauge and its current value.
    pub fn gauges(&self, mut visit: impl FnMut(&Key, f64)) {
        self.0.visit_gauges(|key, gauge| visit(key, f64::from_bits(gauge.load(Ordering::Relaxed))));
    }

    /// Calls `visit` with each histogram and its buckets, which lie between
    /// [`BUCKET_BOUNDS`](crate::BUCKET_BOUNDS): one bucket for each bound, and a last one without.
    pub fn histograms(&self, mut visit: impl FnMut(&Key, Vec<Bucket>)) {
        self.0.visit_histograms(|key, histogram| visit(key, histogram.buckets()));
    }

    /// Sets the counters and gauges of `recorder` to the current values.
    pub(crate) fn copy_to(&self, recorder: &dyn Recorder) {
        static METADATA: Metadata<'static> = Metadata::new("bennu", Level::INFO, None);
        self.counters(|key, count| recorder.register_counter(key, &METADATA).absolute(count));
        self.gauges(|key, value| recorder.register_gauge(key, &METADATA).set(value));
    }
}

impl Recorder for Aggregates {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |counter| Counter::from_arc(counter.clone()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |gauge| Gauge::from_arc(gauge.clone()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |histogram| Histogram::from_arc(histogram.clone()))
    }
}

impl Default for Aggregates {
    fn default() -> Self {
        Aggregates::new()
    }
}

impl fmt::Debug for Aggregates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aggregates")
    }
}

/// The buckets that the last read of each histogram returned, for exporters that send differences.
#[derive(Default)]
pub(crate) struct HistogramDeltas(HashMap<Key, Vec<Bucket>>);

impl HistogramDeltas {
    /// Calls `visit` with the difference of each bucket that has new values since the last call.
    pub(crate) fn visit(&mut self, aggregates: &Aggregates, mut visit: impl FnMut(&Key, Bucket)) {
        aggregates.histograms(|key, buckets| {
            let before = self.0.insert(key.clone(), buckets.clone()).unwrap_or_default();
            let before = before.into_iter().chain(std::iter::repeat(Bucket::default()));
            let deltas = buckets.into_iter().zip(before).map(|(now, before)| now.since(before));
            deltas.filter(|bucket| bucket.count > 0).for_each(|bucket| visit(key, bucket));
        });
    }
}

/// Registers instruments in the aggregates and passes their descriptions on to exporters.
pub(crate) struct AggregateRecorder {
    pub(crate) aggregates: Arc<Aggregates>,
    pub(crate) describe_to: Vec<SharedRecorder>,
}

impl Recorder for AggregateRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_counter(key.clone(), unit, description.clone()));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_gauge(key.clone(), unit, description.clone()));
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_histogram(key.clone(), unit, description.clone()));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.aggregates.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.aggregates.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.aggregates.register_histogram(key, metadata)
    }
}

/// Creates the atomics of new instruments for the registry.
struct AtomicCells;

impl Storage<Key> for AtomicCells {
    type Counter = Arc<ShardedCounter>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<DurationHistogram>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::new(ShardedCounter::new())
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, _: &Key) -> Self::Histogram {
        Arc::new(DurationHistogram::new())
    }
}
