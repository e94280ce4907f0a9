//! The metrics of one test: the records of the `metrics` macros on the test's thread, on which all its channels run.
//!
//! The recorder belongs to the thread, so tests do not share it. An instrument that was registered before the capture
//! keeps its earlier recorder; a capture must therefore begin before a client connects.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
    SharedString, Unit,
};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Captures metrics until the returned [`Metrics`] is dropped. Call it before you connect: the instruments of a channel
/// are registered when its socket is mounted.
///
/// Captures the current thread. A test's channels run on this thread, their `spawn_blocking` tasks do not.
///
/// ```
/// use bennu_testkit::prelude::*;
///
/// let metrics = capture_metrics();
/// metrics::counter!("shop.sold", "size" => "8").increment(2);
/// metrics::histogram!("shop.price").record(9.5);
/// assert_eq!(metrics.counter("shop.sold", &[("size", "8")]), 2);
/// assert_eq!(metrics.histogram("shop.price", &[]), [9.5]);
/// ```
pub fn capture_metrics() -> Metrics {
    let values = Arc::<Values>::default();
    let outer = CAPTURING.replace(Some(values.clone()));
    Metrics { values, outer, _recorder: metrics::set_default_local_recorder(&ThreadRecorder) }
}

/// Captured metrics; see [`capture_metrics`].
///
/// A metric is selected by its name and some of its labels. Series that differ in other labels are summed.
pub struct Metrics {
    values: Arc<Values>,
    /// The values of the enclosing capture.
    outer: Option<Arc<Values>>,
    _recorder: LocalRecorderGuard<'static>,
}

thread_local! {
    static CAPTURING: RefCell<Option<Arc<Values>>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Values {
    counters: Mutex<BTreeMap<Key, Arc<Value<u64>>>>,
    gauges: Mutex<BTreeMap<Key, Arc<Value<f64>>>>,
    histograms: Mutex<BTreeMap<Key, Arc<Value<Vec<f64>>>>>,
}

#[derive(Default)]
struct Value<T>(Mutex<T>);

impl Metrics {
    /// Returns the value of a counter; 0 without a record.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        read(&self.values.counters, name, labels).into_iter().sum()
    }

    /// Returns the value of a gauge; 0 without a record.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        read(&self.values.gauges, name, labels).into_iter().sum()
    }

    /// Returns the values of a histogram, in order.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        read(&self.values.histograms, name, labels).concat()
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        CAPTURING.set(self.outer.take());
    }
}

/// One line for each metric, sorted, for the text of a failing test.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = shown(&self.values.counters, "counter");
        lines.extend(shown(&self.values.gauges, "gauge"));
        lines.extend(shown(&self.values.histograms, "histogram"));
        lines.sort();
        match &lines[..] {
            [] => f.write_str("(nothing was recorded)"),
            lines => f.write_str(&lines.join("\n")),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn read<T: Clone>(values: &Mutex<BTreeMap<Key, Arc<Value<T>>>>, name: &str, labels: &[(&str, &str)]) -> Vec<T> {
    let has =
        |key: &Key, name: &str, value: &str| key.labels().any(|label| (label.key(), label.value()) == (name, value));
    let values = values.lock();
    let selected = values
        .iter()
        .filter(|(key, _)| key.name() == name && labels.iter().all(|(label, value)| has(key, label, value)));
    selected.map(|(_, value)| value.0.lock().clone()).collect()
}

fn shown<T: fmt::Debug>(values: &Mutex<BTreeMap<Key, Arc<Value<T>>>>, kind: &str) -> Vec<String> {
    let label = |label: &metrics::Label| format!("{}={}", label.key(), label.value());
    let line = |(key, value): (&Key, &Arc<Value<T>>)| {
        let labels: Vec<String> = key.labels().map(label).collect();
        format!("{}{{{}}} {kind} {:?}", key.name(), labels.join(","), *value.0.lock())
    };
    values.lock().iter().map(line).collect()
}

/// Records into the innermost capture of the thread.
struct ThreadRecorder;

impl ThreadRecorder {
    fn register<T, V, I>(&self, key: &Key, values: V, none: I) -> I
    where
        T: Default,
        V: Fn(&Values) -> &Mutex<BTreeMap<Key, Arc<Value<T>>>>,
        I: From<Arc<Value<T>>>,
    {
        let register = |captured: &Arc<Values>| values(captured).lock().entry(key.clone()).or_default().clone().into();
        CAPTURING.with_borrow(|capturing| capturing.as_ref().map_or(none, register))
    }
}

impl Recorder for ThreadRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.register(key, |values| &values.counters, Counter::noop())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.register(key, |values| &values.gauges, Gauge::noop())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.register(key, |values| &values.histograms, Histogram::noop())
    }
}

impl CounterFn for Value<u64> {
    fn increment(&self, value: u64) {
        *self.0.lock() += value;
    }

    fn absolute(&self, value: u64) {
        let mut count = self.0.lock();
        *count = value.max(*count);
    }
}

impl GaugeFn for Value<f64> {
    fn increment(&self, value: f64) {
        *self.0.lock() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock() = value;
    }
}

impl HistogramFn for Value<Vec<f64>> {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_selected_by_its_name_and_some_of_its_labels() {
        let captured = capture_metrics();
        metrics::counter!("joins", "channel" => "Room", "result" => "ok").increment(2);
        metrics::counter!("joins", "channel" => "Room", "result" => "refused").increment(1);
        metrics::gauge!("joined").increment(3);
        metrics::gauge!("joined").decrement(1);
        metrics::histogram!("took").record(0.5);
        metrics::histogram!("took").record(0.25);
        assert_eq!(captured.counter("joins", &[]), 3);
        assert_eq!(captured.counter("joins", &[("result", "ok")]), 2);
        assert_eq!(captured.counter("joins", &[("result", "ok"), ("channel", "Other")]), 0);
        assert_eq!((captured.gauge("joined", &[]), captured.gauge("other", &[])), (2.0, 0.0));
        assert_eq!(captured.histogram("took", &[]), [0.5, 0.25]);
        let lines = captured.to_string();
        assert!(lines.contains("joins{channel=Room,result=ok} counter 2"), "{lines}");
        assert!(lines.contains("took{} histogram [0.5, 0.25]"), "{lines}");
    }

    #[test]
    fn a_nested_capture_has_its_own_values_until_it_is_dropped() {
        let outer = capture_metrics();
        let inner = capture_metrics();
        metrics::counter!("n").increment(1);
        assert_eq!((inner.counter("n", &[]), outer.counter("n", &[])), (1, 0));
        drop(inner);
        metrics::counter!("n").increment(1);
        assert_eq!(outer.counter("n", &[]), 1);
        drop(outer);
        metrics::counter!("n").increment(1);
        assert_eq!(capture_metrics().to_string(), "(nothing was recorded)");
    }
}
