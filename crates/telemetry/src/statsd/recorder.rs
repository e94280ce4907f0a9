//! The recorder that writes a line for each measurement, at once: for an application's own instruments.
//!
//! Counters and gauges are kept by key, since a line of StatsD needs what was before: a gauge's line is its new value.
//! What is a timing comes with its metadata: see [`TIMING`].

use super::line::{Form, Kind, Milliseconds};
use super::sender::Queue;
use crate::verb::TIMING;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct LineRecorder {
    queue: Queue,
    counters: Mutex<HashMap<Key, Arc<CounterLines>>>,
    gauges: Mutex<HashMap<Key, Arc<GaugeLines>>>,
}

impl LineRecorder {
    pub(super) fn new(queue: Queue) -> Self {
        LineRecorder { queue, counters: Mutex::default(), gauges: Mutex::default() }
    }
}

impl Recorder for LineRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock();
        let counter = counters.entry(key.clone()).or_insert_with(|| {
            let form = Form::new(key, Kind::Count);
            Arc::new(CounterLines { form, queue: self.queue.clone(), absolute: Mutex::new(0) })
        });
        Counter::from_arc(counter.clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock();
        let gauge = gauges.entry(key.clone()).or_insert_with(|| {
            let form = Form::new(key, Kind::Gauge);
            Arc::new(GaugeLines { form, queue: self.queue.clone(), value: Mutex::new(0.0) })
        });
        Gauge::from_arc(gauge.clone())
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let queue = self.queue.clone();
        if metadata.target() == TIMING {
            Histogram::from_arc(Arc::new(TimingLines { form: Form::new(key, Kind::Timing), queue }))
        } else {
            Histogram::from_arc(Arc::new(HistogramLines { form: Form::new(key, Kind::Histogram), queue }))
        }
    }
}

struct CounterLines {
    form: Form,
    queue: Queue,
    /// What was set last, by those who set instead of counting up.
    absolute: Mutex<u64>,
}

impl CounterFn for CounterLines {
    fn increment(&self, by: u64) {
        self.queue.push(self.form.line(by));
    }

    fn absolute(&self, value: u64) {
        let mut last = self.absolute.lock();
        if value > *last {
            self.queue.push(self.form.line(value - *last));
            *last = value;
        }
    }
}

struct GaugeLines {
    form: Form,
    queue: Queue,
    value: Mutex<f64>,
}

impl GaugeLines {
    /// The line is queued under the lock, so that the last line has the last value.
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut value = self.value.lock();
        *value = change(*value);
        self.queue.push(self.form.line(*value));
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
    queue: Queue,
}

impl HistogramFn for HistogramLines {
    fn record(&self, value: f64) {
        self.queue.push(self.form.line(value));
    }
}

/// Takes seconds, as the facade has them, and writes milliseconds.
struct TimingLines {
    form: Form,
    queue: Queue,
}

impl HistogramFn for TimingLines {
    fn record(&self, seconds: f64) {
        self.queue.push(self.form.line(Milliseconds(seconds * 1000.0)));
    }
}
