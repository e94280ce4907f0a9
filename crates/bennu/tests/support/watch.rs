//! Recorders of the server's log lines and metrics. Both belong to the thread: a test with a recorder runs its server
//! on a current-thread runtime and records nothing of other tests.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use tracing::Level;

/// The recorded log lines: level, target, spans, fields and message, in the format of the log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn watch(level: Level) -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        (log.clone(), tracing::subscriber::set_default(log.subscriber(level)))
    }

    pub fn subscriber(&self, level: Level) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .without_time()
            .with_writer(move || Writer(log.clone()))
            .finish()
    }

    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock()).lines().map(str::to_owned).collect()
    }

    /// Returns the lines that contain all these parts.
    pub fn with(&self, parts: &[&str]) -> Vec<String> {
        self.lines().into_iter().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
    }

    pub fn has(&self, parts: &[&str]) -> bool {
        !self.with(parts).is_empty()
    }
}

struct Writer(Log);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Counters and gauges, summed over their labels or with them.
pub struct Metrics {
    snapshotter: Snapshotter,
    /// The values of all snapshots so far; each snapshot resets the recorder.
    sums: Mutex<BTreeMap<String, f64>>,
}

impl Metrics {
    pub fn of(recorder: &DebuggingRecorder) -> Self {
        Metrics { snapshotter: recorder.snapshotter(), sums: Mutex::default() }
    }

    /// Returns all values, by name, and by name and labels as in `bennu.channel.joins{channel=Room,result=ok}`. The
    /// value of a histogram is the number of its samples.
    pub fn all(&self) -> BTreeMap<String, f64> {
        let mut sums = self.sums.lock();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(change) => change.into_inner(),
                DebugValue::Histogram(samples) => samples.len() as f64,
            };
            let labels: Vec<String> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = key.key().name();
            *sums.entry(name.to_owned()).or_default() += value;
            if !labels.is_empty() {
                *sums.entry(format!("{name}{{{}}}", labels.join(","))).or_default() += value;
            }
        }
        sums.clone()
    }

    pub fn get(&self, name: &str) -> f64 {
        self.all().get(name).copied().unwrap_or_default()
    }
}
