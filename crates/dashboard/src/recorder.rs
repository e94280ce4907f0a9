//! The recorder that keeps what the page shows: the framework's own instruments, as atomics that a snapshot reads.
//!
//! What an application measures by itself is not kept. Nothing grows but with the number of instruments.

use crate::histogram::Buckets;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{Registry, Storage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Feeds a dashboard: give it to `Telemetry::recorder`, or install it by `metrics::set_global_recorder` when nothing else
/// shall be fed. Cloning shares it.
#[derive(Clone)]
pub struct DashboardRecorder(pub(crate) Arc<Instruments>);

pub(crate) struct Instruments(Registry<Key, Cells>);

/// What the page shows begins so.
const SHOWN: &str = "bennu.";

impl Instruments {
    pub(crate) fn new() -> Self {
        Instruments(Registry::new(Cells))
    }

    pub(crate) fn counters(&self, mut visit: impl FnMut(&Key, u64)) {
        self.0.visit_counters(|key, counter| visit(key, counter.load(Ordering::Relaxed)));
    }

    pub(crate) fn gauges(&self, mut visit: impl FnMut(&Key, f64)) {
        self.0.visit_gauges(|key, gauge| visit(key, f64::from_bits(gauge.load(Ordering::Relaxed))));
    }

    pub(crate) fn histograms(&self, mut visit: impl FnMut(&Key, &Buckets)) {
        self.0.visit_histograms(|key, buckets| visit(key, buckets));
    }
}

impl Recorder for DashboardRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if !key.name().starts_with(SHOWN) {
            return Counter::noop();
        }
        self.0.0.get_or_create_counter(key, |counter| Counter::from_arc(counter.clone()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if !key.name().starts_with(SHOWN) {
            return Gauge::noop();
        }
        self.0.0.get_or_create_gauge(key, |gauge| Gauge::from_arc(gauge.clone()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if !key.name().starts_with(SHOWN) {
            return Histogram::noop();
        }
        self.0.0.get_or_create_histogram(key, |buckets| Histogram::from_arc(buckets.clone()))
    }
}

impl std::fmt::Debug for DashboardRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DashboardRecorder")
    }
}

/// Makes the cells of new instruments.
struct Cells;

impl Storage<Key> for Cells {
    type Counter = Arc<AtomicU64>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<Buckets>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::default()
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, _: &Key) -> Self::Histogram {
        Arc::new(Buckets::new())
    }
}
