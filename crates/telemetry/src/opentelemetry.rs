//! OpenTelemetry: the facade's instruments as those of its SDK, exported by OTLP over HTTP.
//!
//! The published bridges keep a gauge's value in the handle and not by its key, so that a gauge which is looked up anew
//! for each change would never count; hence this one. Invariants: one SDK instrument a name; one value a key, however
//! often it is looked up.

use crate::bound;
use crate::sum::{News, SharedRecorder, Sums, is_summed};
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

/// How often measurements are exported.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long the last export may take.
const END: Duration = Duration::from_secs(5);

/// The exporter, until it is ended.
pub(crate) struct OpenTelemetry {
    recorder: SharedRecorder,
    provider: SdkMeterProvider,
    sums: Arc<Sums>,
}

impl OpenTelemetry {
    pub(crate) fn new(collector: &str, sums: Arc<Sums>) -> Result<Self, ExporterBuildError> {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector)
            .build()?;
        let reader = PeriodicReader::builder(exporter).with_interval(INTERVAL).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let recorder = Arc::new(OtelRecorder { instruments: Mutex::new(Instruments::new(&provider)) });
        Ok(OpenTelemetry { recorder, provider, sums })
    }

    /// What takes an application's measurements.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.recorder.clone()
    }

    /// What tells it the sums.
    pub(crate) fn sum_relay(&self) -> SumRelay {
        SumRelay { recorder: self.recorder.clone(), sums: self.sums.clone(), news: News::default() }
    }

    /// Exports what there is for the last time.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(END) {
            tracing::warn!(%error, "the last measurements did not reach the OpenTelemetry collector");
        }
    }
}

/// Tells the SDK where the sums stand. It takes durations one by one: those of a bucket, each as their mean.
pub(crate) struct SumRelay {
    recorder: SharedRecorder,
    sums: Arc<Sums>,
    news: News,
}

impl SumRelay {
    pub(crate) fn run(&mut self) {
        static METADATA: Metadata<'static> = Metadata::new("bennu", Level::INFO, None);
        self.sums.relay(&self.recorder);
        self.news.visit(&self.sums, |key, bucket| {
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
    described: HashMap<String, (Option<Unit>, SharedString)>,
    counters: HashMap<String, otel::Counter<u64>>,
    gauges: HashMap<String, otel::Gauge<f64>>,
    histograms: HashMap<String, otel::Histogram<f64>>,
    /// By key.
    counts: HashMap<Key, Arc<Count>>,
    values: HashMap<Key, Arc<Value>>,
}

impl Instruments {
    fn new(provider: &SdkMeterProvider) -> Self {
        Instruments {
            meter: provider.meter("bennu"),
            described: HashMap::new(),
            counters: HashMap::new(),
            gauges: HashMap::new(),
            histograms: HashMap::new(),
            counts: HashMap::new(),
            values: HashMap::new(),
        }
    }

    /// Unit and description, as the SDK takes them.
    fn described(&self, name: &str) -> (String, String) {
        let Some((unit, description)) = self.described.get(name) else { return Default::default() };
        (unit.map_or("", |unit| unit.as_canonical_label()).to_owned(), description.to_string())
    }
}

impl OtelRecorder {
    fn describe(&self, key: &KeyName, unit: Option<Unit>, description: SharedString) {
        self.instruments.lock().described.insert(key.as_str().to_owned(), (unit, description));
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
        if let Some(count) = instruments.counts.get(key) {
            return Counter::from_arc(count.clone());
        }
        let (unit, description) = instruments.described(key.name());
        let Instruments { meter, counters, .. } = &mut *instruments;
        let counter = counters.entry(key.name().to_owned()).or_insert_with(|| {
            meter.u64_counter(key.name().to_owned()).with_unit(unit).with_description(description).build()
        });
        let count = Arc::new(Count { counter: counter.clone(), tags: tags(key), absolute: Mutex::new(0) });
        instruments.counts.insert(key.clone(), count.clone());
        Counter::from_arc(count)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut instruments = self.instruments.lock();
        if let Some(value) = instruments.values.get(key) {
            return Gauge::from_arc(value.clone());
        }
        let (unit, description) = instruments.described(key.name());
        let Instruments { meter, gauges, .. } = &mut *instruments;
        let gauge = gauges.entry(key.name().to_owned()).or_insert_with(|| {
            meter.f64_gauge(key.name().to_owned()).with_unit(unit).with_description(description).build()
        });
        let value = Arc::new(Value { gauge: gauge.clone(), tags: tags(key), value: Mutex::new(0.0) });
        instruments.values.insert(key.clone(), value.clone());
        Gauge::from_arc(value)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut instruments = self.instruments.lock();
        let (unit, description) = instruments.described(key.name());
        let Instruments { meter, histograms, .. } = &mut *instruments;
        let histogram = histograms.entry(key.name().to_owned()).or_insert_with(|| {
            let bounds = if is_summed(key.name()) { bound::SECONDS.to_vec() } else { bound::ANY.to_vec() };
            let histogram = meter.f64_histogram(key.name().to_owned()).with_boundaries(bounds);
            histogram.with_unit(unit).with_description(description).build()
        });
        Histogram::from_arc(Arc::new(Distribution { histogram: histogram.clone(), tags: tags(key) }))
    }
}

fn tags(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

struct Count {
    counter: otel::Counter<u64>,
    tags: Vec<KeyValue>,
    /// What was set last, by those who set instead of counting up.
    absolute: Mutex<u64>,
}

impl CounterFn for Count {
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

struct Value {
    gauge: otel::Gauge<f64>,
    tags: Vec<KeyValue>,
    value: Mutex<f64>,
}

impl Value {
    /// Recorded under the lock, so that the last record has the last value.
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut value = self.value.lock();
        *value = change(*value);
        self.gauge.record(*value, &self.tags);
    }
}

impl GaugeFn for Value {
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

struct Distribution {
    histogram: otel::Histogram<f64>,
    tags: Vec<KeyValue>,
}

impl HistogramFn for Distribution {
    fn record(&self, value: f64) {
        self.histogram.record(value, &self.tags);
    }
}
