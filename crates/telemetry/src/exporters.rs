//! What an installation has set going, and its end.

use crate::prometheus::{self, Prometheus};
use crate::statsd::{Sender, SumLines};
use axum::Router;
use metrics_process::Collector;
use std::fmt;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The installed exporters. Keep it while the program runs: dropping it sends what waits and ends their threads. What is
/// measured after that still reaches `/metrics`, and nothing else.
///
/// Dropping waits for what is sent: a few milliseconds for StatsD; OpenTelemetry's collector gets up to 5 s.
#[must_use = "dropping it ends the exporters"]
pub struct Exporters {
    /// `None` once it has ended.
    pub(crate) upkeep: Option<Running>,
    pub(crate) prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: Option<crate::opentelemetry::OpenTelemetry>,
    pub(crate) sender: Option<Sender>,
}

impl Exporters {
    /// `GET /metrics` for Prometheus. Anybody who can reach it can read it: merge it into a router that only your own
    /// network reaches, or put your layer around it.
    ///
    /// Without [`crate::Telemetry::prometheus`] it answers 404 and says so.
    pub fn metrics_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        prometheus::router(self.prometheus.clone())
    }

    /// What `/metrics` answers; `None` without [`crate::Telemetry::prometheus`].
    pub fn render_prometheus(&self) -> Option<String> {
        self.prometheus.as_ref().map(Prometheus::render)
    }
}

impl Drop for Exporters {
    fn drop(&mut self) {
        // The last sums are queued before the sender sends what waits, and relayed before the last export.
        self.upkeep = None;
        self.sender = None;
        #[cfg(feature = "opentelemetry")]
        if let Some(exporter) = self.opentelemetry.take() {
            exporter.end();
        }
    }
}

impl fmt::Debug for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prometheus, statsd) = (self.prometheus.is_some(), self.sender.is_some());
        f.debug_struct("Exporters").field("prometheus", &prometheus).field("statsd", &statsd).finish_non_exhaustive()
    }
}

/// How often the sums are sent, and Prometheus takes in an application's histograms: until then each value waits, 8 bytes.
const EVERY: Duration = Duration::from_secs(1);

/// How many of those pass until the process is looked at again: counting its open files costs a look at each.
const PROCESS_EVERY: u32 = 10;

/// What is done every second, by a thread of its own; and the process is measured, `process_resident_memory_bytes` and its
/// like, by their usual names.
pub(crate) struct Upkeep {
    pub(crate) sum_lines: Option<SumLines>,
    pub(crate) prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: Option<crate::opentelemetry::SumRelay>,
}

/// The thread. Dropping it has everything done once more, and ends it.
pub(crate) struct Running {
    until: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(mut self) -> io::Result<Running> {
        let (until, running) = sync_channel::<()>(0);
        let collector = Collector::default();
        collector.describe();
        collector.collect();
        let thread = std::thread::Builder::new().name("telemetry-upkeep".to_owned()).spawn(move || {
            let mut turn = 0;
            while running.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                turn = (turn + 1) % PROCESS_EVERY;
                if turn == 0 {
                    collector.collect();
                }
                self.turn();
            }
            self.turn();
        })?;
        Ok(Running { until: Some(until), thread: Some(thread) })
    }

    fn turn(&mut self) {
        if let Some(sum_lines) = &mut self.sum_lines {
            sum_lines.send();
        }
        if let Some(prometheus) = &self.prometheus {
            prometheus.take_in();
        }
        #[cfg(feature = "opentelemetry")]
        if let Some(relay) = &mut self.opentelemetry {
            relay.run();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.until = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
