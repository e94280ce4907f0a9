//! What happens too often to be told one by one: the framework's and the process's own instruments, kept once, as atomics,
//! and read by each exporter in its own time.
//!
//! So a message costs the same with one exporter or with three: exporters that take each value cost several times as much as
//! the 3 % of a message that instruments may cost. Every histogram here is one of seconds.

use crate::duration::{Bucket, Durations};
use crate::shard::Count;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{Registry, Storage};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names that are summed begin with one of these.
pub(crate) const SUMMED: [&str; 2] = ["bennu.", "process_"];

/// Whether an instrument of this name is summed.
pub(crate) fn is_summed(name: &str) -> bool {
    SUMMED.iter().any(|prefix| name.starts_with(prefix))
}

/// A recorder that several share.
pub(crate) type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// Where all of them stand.
pub(crate) struct Sums(Registry<Key, Cells>);

impl Sums {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Sums(Registry::new(Cells)))
    }

    pub(crate) fn counters(&self, mut visit: impl FnMut(&Key, u64)) {
        self.0.visit_counters(|key, counter| visit(key, counter.read()));
    }

    pub(crate) fn gauges(&self, mut visit: impl FnMut(&Key, f64)) {
        self.0.visit_gauges(|key, gauge| visit(key, f64::from_bits(gauge.load(Ordering::Relaxed))));
    }

    pub(crate) fn durations(&self, mut visit: impl FnMut(&Key, Vec<Bucket>)) {
        self.0.visit_histograms(|key, durations| visit(key, durations.read()));
    }

    /// Tells a recorder where counters and gauges stand.
    pub(crate) fn relay(&self, to: &dyn Recorder) {
        static METADATA: Metadata<'static> = Metadata::new("bennu", Level::INFO, None);
        self.counters(|key, count| to.register_counter(key, &METADATA).absolute(count));
        self.gauges(|key, value| to.register_gauge(key, &METADATA).set(value));
    }
}

/// What has come to the histograms since they were last looked at.
#[derive(Default)]
pub(crate) struct News(HashMap<Key, Vec<Bucket>>);

impl News {
    /// Visits the buckets into which something fell.
    pub(crate) fn visit(&mut self, sums: &Sums, mut visit: impl FnMut(&Key, Bucket)) {
        sums.durations(|key, buckets| {
            let before = self.0.insert(key.clone(), buckets.clone()).unwrap_or_default();
            let before = before.into_iter().chain(std::iter::repeat(Bucket::default()));
            let news = buckets.into_iter().zip(before).map(|(now, before)| now.since(before));
            news.filter(|bucket| bucket.count > 0).for_each(|bucket| visit(key, bucket));
        });
    }
}

/// Feeds the sums; descriptions go to those exporters that have a use for them.
pub(crate) struct SumRecorder {
    pub(crate) sums: Arc<Sums>,
    pub(crate) describe_to: Vec<SharedRecorder>,
}

impl Recorder for SumRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_counter(key.clone(), unit, description.clone()));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_gauge(key.clone(), unit, description.clone()));
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_to.iter().for_each(|to| to.describe_histogram(key.clone(), unit, description.clone()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.sums.0.get_or_create_counter(key, |counter| Counter::from_arc(counter.clone()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.sums.0.get_or_create_gauge(key, |gauge| Gauge::from_arc(gauge.clone()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.sums.0.get_or_create_histogram(key, |durations| Histogram::from_arc(durations.clone()))
    }
}

/// Makes the cells of new instruments.
struct Cells;

impl Storage<Key> for Cells {
    type Counter = Arc<Count>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<Durations>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::new(Count::new())
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, _: &Key) -> Self::Histogram {
        Arc::new(Durations::new())
    }
}
