//! The dashboard's recorder, which aggregates the instruments that the page shows.
//!
//! The application installs it, alone or through `Telemetry::recorder`; the publisher's snapshots read it. It keeps the
//! framework's instruments and ignores those of the application. Its memory grows only with the number of instruments.

use bennu_telemetry::Aggregates;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::Arc;

/// The recorder of a dashboard: pass it to `Telemetry::recorder`, or install it with `metrics::set_global_recorder`
/// when there is no other exporter. Clones share the measurements.
#[derive(Clone)]
pub struct DashboardRecorder(Arc<Aggregates>);

/// The name prefix of the framework's instruments.
const FRAMEWORK_PREFIX: &str = "bennu.";

impl DashboardRecorder {
    pub(crate) fn new() -> Self {
        DashboardRecorder(Arc::default())
    }

    pub(crate) fn aggregates(&self) -> &Aggregates {
        &self.0
    }
}

impl Recorder for DashboardRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        if !key.name().starts_with(FRAMEWORK_PREFIX) {
            return Counter::noop();
        }
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        if !key.name().starts_with(FRAMEWORK_PREFIX) {
            return Gauge::noop();
        }
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        if !key.name().starts_with(FRAMEWORK_PREFIX) {
            return Histogram::noop();
        }
        self.0.register_histogram(key, metadata)
    }
}

impl std::fmt::Debug for DashboardRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DashboardRecorder")
    }
}
