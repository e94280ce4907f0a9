//! The OpenTelemetry exporter: a recorder that maps the facade's instruments to those of the SDK, which exports them by
//! OTLP over HTTP.
//!
//! [`Telemetry`](crate::Telemetry) owns it. The published bridges keep a gauge's value in the handle and not by its
//! key, so a gauge that is looked up for each change would never accumulate; therefore this crate has its own.
//! Invariants: one SDK instrument for each name; one value for each key, however often it is looked up.

use crate::aggregate::{Aggregates, HistogramDeltas, SharedRecorder, is_aggregated};
use crate::histogram::{APPLICATION_BOUNDS, EXPORTED_BOUNDS};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Level, Metadata, Recorder, SharedString,
    Unit,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{self as otel, Meter, MeterProvider};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The interval between two exports.
const INTERVAL: Duration = Duration::from_secs(10);

/// The time limit of the last export.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The SDK's provider with its recorder.
pub(crate) struct OpenTelemetry {
    recorder: SharedRecorder,
    provider: SdkMeterProvider,
    aggregates: Arc<Aggregates>,
}

impl OpenTelemetry {
    pub(crate) fn new(collector: &str, aggregates: Arc<Aggregates>) -> Result<Self, ExporterBuildError> {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector)
            .build()?;
        let reader = PeriodicReader::builder(exporter).with_interval(INTERVAL).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let recorder = Arc::new(OtelRecorder { instruments: Mutex::new(Instruments::new(&provider)) });
        Ok(OpenTelemetry { recorder, provider, aggregates })
    }

    /// Returns the recorder of the application's measurements.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.recorder.clone()
    }

    /// Returns the forwarder of the aggregates, which the upkeep thread runs.
    pub(crate) fn aggregate_forwarder(&self) -> AggregateForwarder {
        AggregateForwarder {
            recorder: self.recorder.clone(),
            aggregates: self.aggregates.clone(),
            deltas: HistogramDeltas::default(),
        }
    }

    /// Exports all measurements for the last time and ends the SDK's thread.
    pub(crate) fn shutdown(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "could not export the last measurements to the OpenTelemetry collector");
        }
    }
}

/// Forwards the aggregates to the SDK. The SDK accepts durations one by one only, so each value of a bucket is recorded
/// as the bucket's mean.
pub(crate) struct AggregateForwarder {
    recorder: SharedRecorder,
    aggregates: Arc<Aggregates>,
    deltas: HistogramDeltas,
}

impl AggregateForwarder {
    pub(crate) fn forward(&mut self) {
        static METADATA: Metadata<'static> = Metadata::new("bennu", Level::INFO, None);
        self.aggregates.copy_to(&self.recorder);
        self.deltas.visit(&self.aggregates, |key, bucket| {
            let histogram = self.recorder.register_histogram(key, &METADATA);
            (0..bucket.count).for_each(|_| histogram.record(bucket.mean()));
        });
    }
}

struct OtelRecorder {
    instruments: Mutex<Instruments>,
}

struct Instruments {
    meter: Meter,
    descriptions: HashMap<String, (Option<Unit>, SharedString)>,
    counters: HashMap<String, otel::Counter<u64>>,
    gauges: HashMap<String, otel::Gauge<f64>>,
    histograms: HashMap<String, otel::Histogram<f64>>,
    counter_by_key: HashMap<Key, Arc<OtelCounter>>,
    gauge_by_key: HashMap<Key, Arc<OtelGauge>>,
}

impl Instruments {
    fn new(provider: &SdkMeterProvider) -> Self {
        Instruments {
            meter: provider.meter("bennu"),
            descriptions: HashMap::new(),
            counters: HashMap::new(),
            gauges: HashMap::new(),
            histograms: HashMap::new(),
            counter_by_key: HashMap::new(),
            gauge_by_key: HashMap::new(),
        }
    }

    /// Returns unit and description in the SDK's form; empty texts when the instrument has none.
    fn unit_and_description(&self, name: &str) -> (String, String) {
        let Some((unit, description)) = self.descriptions.get(name) else { return Default::default() };
        (unit.map_or("", |unit| unit.as_canonical_label()).to_owned(), description.to_string())
    }
}

impl OtelRecorder {
    fn describe(&self, key: &KeyName, unit: Option<Unit>, description: SharedString) {
        self.instruments.lock().descriptions.insert(key.as_str().to_owned(), (unit, description));
    }
}

impl Recorder for OtelRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut instruments = self.instruments.lock();
        if let Some(counter) = instruments.counter_by_key.get(key) {
            return Counter::from_arc(counter.clone());
        }
        let (unit, description) = instruments.unit_and_description(key.name());
        let Instruments { meter, counters, .. } = &mut *instruments;
        let counter = counters.entry(key.name().to_owned()).or_insert_with(|| {
            meter.u64_counter(key.name().to_owned()).with_unit(unit).with_description(description).build()
        });
        let counter = Arc::new(OtelCounter { counter: counter.clone(), tags: tags(key), absolute: Mutex::new(0) });
        instruments.counter_by_key.insert(key.clone(), counter.clone());
        Counter::from_arc(counter)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut instruments = self.instruments.lock();
        if let Some(gauge) = instruments.gauge_by_key.get(key) {
            return Gauge::from_arc(gauge.clone());
        }
        let (unit, description) = instruments.unit_and_description(key.name());
        let Instruments { meter, gauges, .. } = &mut *instruments;
        let gauge = gauges.entry(key.name().to_owned()).or_insert_with(|| {
            meter.f64_gauge(key.name().to_owned()).with_unit(unit).with_description(description).build()
        });
        let gauge = Arc::new(OtelGauge { gauge: gauge.clone(), tags: tags(key), value: Mutex::new(0.0) });
        instruments.gauge_by_key.insert(key.clone(), gauge.clone());
        Gauge::from_arc(gauge)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut instruments = self.instruments.lock();
        let (unit, description) = instruments.unit_and_description(key.name());
        let Instruments { meter, histograms, .. } = &mut *instruments;
        let histogram = histograms.entry(key.name().to_owned()).or_insert_with(|| {
            let bounds = if is_aggregated(key.name()) { EXPORTED_BOUNDS.to_vec() } else { APPLICATION_BOUNDS.to_vec() };
            let histogram = meter.f64_histogram(key.name().to_owned()).with_boundaries(bounds);
            histogram.with_unit(unit).with_description(description).build()
        });
        Histogram::from_arc(Arc::new(OtelHistogram { histogram: histogram.clone(), tags: tags(key) }))
    }
}

fn tags(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

struct OtelCounter {
    counter: otel::Counter<u64>,
    tags: Vec<KeyValue>,
    /// The last absolute value, for callers that set the counter instead of incrementing it.
    absolute: Mutex<u64>,
}

impl CounterFn for OtelCounter {
    fn increment(&self, by: u64) {
        self.counter.add(by, &self.tags);
    }

    fn absolute(&self, value: u64) {
        let mut last = self.absolute.lock();
        if value > *last {
            self.counter.add(value - *last, &self.tags);
            *last = value;
        }
    }
}

struct OtelGauge {
    gauge: otel::Gauge<f64>,
    tags: Vec<KeyValue>,
    value: Mutex<f64>,
}

impl OtelGauge {
    /// Changes the value and records it under the lock, so that the last record has the last value.
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut value = self.value.lock();
        *value = change(*value);
        self.gauge.record(*value, &self.tags);
    }
}

impl GaugeFn for OtelGauge {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }

    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

struct OtelHistogram {
    histogram: otel::Histogram<f64>,
    tags: Vec<KeyValue>,
}

impl HistogramFn for OtelHistogram {
    fn record(&self, value: f64) {
        self.histogram.record(value, &self.tags);
    }
}
