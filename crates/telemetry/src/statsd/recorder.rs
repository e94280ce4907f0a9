//! The recorder that sends a line for each measurement of the application at once.
//!
//! Counters and gauges are kept by key, since a gauge's line contains its new value and an absolute count becomes the
//! difference to the previous one. The metadata of a histogram marks it as a timing: see [`TIMING`].

use super::series::{Milliseconds, Series};
use crate::measurement::TIMING;
use cadence::StatsdClient;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct StatsdRecorder {
    client: Arc<StatsdClient>,
    counters: Mutex<HashMap<Key, Arc<StatsdCounter>>>,
    gauges: Mutex<HashMap<Key, Arc<StatsdGauge>>>,
}

impl StatsdRecorder {
    pub(super) fn new(client: Arc<StatsdClient>) -> Self {
        StatsdRecorder { client, counters: Mutex::default(), gauges: Mutex::default() }
    }
}

impl Recorder for StatsdRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock();
        let counter = counters.entry(key.clone()).or_insert_with(|| {
            let (series, client) = (Series::new(key), self.client.clone());
            Arc::new(StatsdCounter { series, client, absolute: Mutex::new(0) })
        });
        Counter::from_arc(counter.clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock();
        let gauge = gauges.entry(key.clone()).or_insert_with(|| {
            let (series, client) = (Series::new(key), self.client.clone());
            Arc::new(StatsdGauge { series, client, value: Mutex::new(0.0) })
        });
        Gauge::from_arc(gauge.clone())
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let (series, client) = (Series::new(key), self.client.clone());
        if metadata.target() == TIMING {
            Histogram::from_arc(Arc::new(StatsdTiming { series, client }))
        } else {
            Histogram::from_arc(Arc::new(StatsdHistogram { series, client }))
        }
    }
}

struct StatsdCounter {
    series: Series,
    client: Arc<StatsdClient>,
    /// The last absolute value, for callers that set the counter instead of incrementing it.
    absolute: Mutex<u64>,
}

impl CounterFn for StatsdCounter {
    fn increment(&self, by: u64) {
        self.series.count(&self.client, by);
    }

    fn absolute(&self, value: u64) {
        let mut last = self.absolute.lock();
        if value > *last {
            self.series.count(&self.client, value - *last);
            *last = value;
        }
    }
}

struct StatsdGauge {
    series: Series,
    client: Arc<StatsdClient>,
    value: Mutex<f64>,
}

impl StatsdGauge {
    /// Changes the value and queues its line under the lock, so that the last line has the last value.
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut value = self.value.lock();
        *value = change(*value);
        self.series.gauge(&self.client, *value);
    }
}

impl GaugeFn for StatsdGauge {
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

struct StatsdHistogram {
    series: Series,
    client: Arc<StatsdClient>,
}

impl HistogramFn for StatsdHistogram {
    fn record(&self, value: f64) {
        self.series.histogram(&self.client, value);
    }
}

/// Records seconds, the facade's unit, and sends milliseconds.
struct StatsdTiming {
    series: Series,
    client: Arc<StatsdClient>,
}

impl HistogramFn for StatsdTiming {
    fn record(&self, seconds: f64) {
        self.series.timing(&self.client, Milliseconds::rounded(seconds));
    }
}
