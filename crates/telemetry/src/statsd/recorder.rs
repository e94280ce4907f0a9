//! The recorder that writes a line for each measurement, at once: for an application's own instruments.
//!
//! Counters and gauges are kept by key, since a line of StatsD needs what was before: a gauge's line is its new value.
//! What is a timing comes with its metadata: see [`TIMING`].

use super::form::{Form, Milliseconds};
use crate::verb::TIMING;
use cadence::StatsdClient;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct LineRecorder {
    client: Arc<StatsdClient>,
    counters: Mutex<HashMap<Key, Arc<CounterLines>>>,
    gauges: Mutex<HashMap<Key, Arc<GaugeLines>>>,
}

impl LineRecorder {
    pub(super) fn new(client: Arc<StatsdClient>) -> Self {
        LineRecorder { client, counters: Mutex::default(), gauges: Mutex::default() }
    }
}

impl Recorder for LineRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock();
        let counter = counters.entry(key.clone()).or_insert_with(|| {
            let (form, client) = (Form::new(key), self.client.clone());
            Arc::new(CounterLines { form, client, absolute: Mutex::new(0) })
        });
        Counter::from_arc(counter.clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock();
        let gauge = gauges.entry(key.clone()).or_insert_with(|| {
            let (form, client) = (Form::new(key), self.client.clone());
            Arc::new(GaugeLines { form, client, value: Mutex::new(0.0) })
        });
        Gauge::from_arc(gauge.clone())
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let (form, client) = (Form::new(key), self.client.clone());
        if metadata.target() == TIMING {
            Histogram::from_arc(Arc::new(TimingLines { form, client }))
        } else {
            Histogram::from_arc(Arc::new(HistogramLines { form, client }))
        }
    }
}

struct CounterLines {
    form: Form,
    client: Arc<StatsdClient>,
    /// What was set last, by those who set instead of counting up.
    absolute: Mutex<u64>,
}

impl CounterFn for CounterLines {
    fn increment(&self, by: u64) {
        self.form.count(&self.client, by);
    }

    fn absolute(&self, value: u64) {
        let mut last = self.absolute.lock();
        if value > *last {
            self.form.count(&self.client, value - *last);
            *last = value;
        }
    }
}

struct GaugeLines {
    form: Form,
    client: Arc<StatsdClient>,
    value: Mutex<f64>,
}

impl GaugeLines {
    /// The line is queued under the lock, so that the last line has the last value.
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut value = self.value.lock();
        *value = change(*value);
        self.form.gauge(&self.client, *value);
    }
}

impl GaugeFn for GaugeLines {
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

struct HistogramLines {
    form: Form,
    client: Arc<StatsdClient>,
}

impl HistogramFn for HistogramLines {
    fn record(&self, value: f64) {
        self.form.histogram(&self.client, value);
    }
}

/// Takes seconds, as the facade has them, and writes milliseconds.
struct TimingLines {
    form: Form,
    client: Arc<StatsdClient>,
}

impl HistogramFn for TimingLines {
    fn record(&self, seconds: f64) {
        self.form.timing(&self.client, Milliseconds::whole(seconds));
    }
}
