//! The counters and gauges of one node.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A recorder that is installed only while a node is created. The adapter looks its instruments up then, and keeps
/// them.
#[derive(Clone, Default)]
pub struct CapturedMetrics {
    /// The value of a gauge is stored as its bits, as the `metrics` crate does.
    values: Arc<Mutex<HashMap<Key, Arc<AtomicU64>>>>,
}

impl CapturedMetrics {
    /// Returns the sum of the counters of that name that have all of these labels; 0 when there is none.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.bits(name, labels).sum()
    }

    /// Returns the gauge of that name; 0 when there is none.
    pub fn gauge(&self, name: &str) -> f64 {
        self.bits(name, &[]).map(f64::from_bits).sum()
    }

    fn bits(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = u64> {
        let values = self.values.lock();
        let wanted = values.iter().filter(|(key, _)| {
            let has = |label: &&(&str, &str)| key.labels().any(|own| (own.key(), own.value()) == **label);
            key.name() == name && labels.iter().filter(has).count() == labels.len()
        });
        wanted.map(|(_, value)| value.load(Ordering::Relaxed)).collect::<Vec<_>>().into_iter()
    }

    fn value(&self, key: &Key) -> Arc<AtomicU64> {
        self.values.lock().entry(key.clone()).or_default().clone()
    }
}

impl Recorder for CapturedMetrics {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    // Adapters have no histograms.
    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
