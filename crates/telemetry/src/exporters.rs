//! The installed exporters, their upkeep thread, and their shutdown.
//!
//! [`Telemetry::install`](crate::Telemetry::install) creates [`Exporters`] and starts the thread, which runs once a
//! second and owns the periodic work: StatsD's aggregates, Prometheus's upkeep, OpenTelemetry's aggregates, the
//! process's instruments. On drop, the work runs once more before the exporters end, so no measurement is lost.

use crate::prometheus::{self, Prometheus};
use crate::statsd::{AggregateWriter, Sender};
use axum::Router;
use metrics_process::Collector;
use std::fmt;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The installed exporters. Keep the value while the program runs: dropping it sends all queued measurements and ends
/// the exporters' threads. Later measurements still reach `/metrics`, and no other exporter.
///
/// Dropping blocks until all is sent: a few milliseconds for StatsD, at most 5 s for OpenTelemetry's collector.
#[must_use = "dropping it ends the exporters"]
pub struct Exporters {
    /// `None` once the thread has ended.
    pub(crate) upkeep: Option<UpkeepThread>,
    pub(crate) prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: Option<crate::opentelemetry::OpenTelemetry>,
    pub(crate) sender: Option<Sender>,
}

impl Exporters {
    /// Returns a router with `GET /metrics` for Prometheus. The route has no access control: merge it into a router
    /// that only your own network reaches, or put your own layer around it.
    ///
    /// Without [`crate::Telemetry::prometheus`] the route answers 404 with a hint.
    pub fn metrics_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        prometheus::router(self.prometheus.clone())
    }

    /// Returns the text of `/metrics`; `None` without [`crate::Telemetry::prometheus`].
    pub fn render_prometheus(&self) -> Option<String> {
        self.prometheus.as_ref().map(Prometheus::render)
    }
}

impl Drop for Exporters {
    fn drop(&mut self) {
        // The upkeep thread queues the last aggregates before the sender empties its queue and before the last export.
        self.upkeep = None;
        self.sender = None;
        #[cfg(feature = "opentelemetry")]
        if let Some(exporter) = self.opentelemetry.take() {
            exporter.shutdown();
        }
    }
}

impl fmt::Debug for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prometheus, statsd) = (self.prometheus.is_some(), self.sender.is_some());
        f.debug_struct("Exporters").field("prometheus", &prometheus).field("statsd", &statsd).finish_non_exhaustive()
    }
}

/// The interval of the upkeep. Until then Prometheus's exporter keeps each value of an application's histogram, 8
/// bytes.
const INTERVAL: Duration = Duration::from_secs(1);

/// The process is measured once in this many intervals: counting its open files visits each of them.
const PROCESS_INTERVALS: u32 = 10;

/// The periodic work of the exporters. It also measures the process: `process_resident_memory_bytes` and the other
/// usual names.
pub(crate) struct Upkeep {
    pub(crate) statsd: Option<AggregateWriter>,
    pub(crate) prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: Option<crate::opentelemetry::AggregateForwarder>,
}

/// The thread of the upkeep. Dropping it runs the upkeep once more and joins the thread.
pub(crate) struct UpkeepThread {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(mut self) -> io::Result<UpkeepThread> {
        let (stop, stopped) = sync_channel::<()>(0);
        let collector = Collector::default();
        collector.describe();
        collector.collect();
        let thread = std::thread::Builder::new().name("telemetry-upkeep".to_owned()).spawn(move || {
            let mut interval = 0;
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                interval = (interval + 1) % PROCESS_INTERVALS;
                if interval == 0 {
                    collector.collect();
                }
                self.run();
            }
            self.run();
        })?;
        Ok(UpkeepThread { stop: Some(stop), thread: Some(thread) })
    }

    fn run(&mut self) {
        if let Some(writer) = &mut self.statsd {
            writer.flush();
        }
        if let Some(prometheus) = &self.prometheus {
            prometheus.run_upkeep();
        }
        #[cfg(feature = "opentelemetry")]
        if let Some(forwarder) = &mut self.opentelemetry {
            forwarder.forward();
        }
    }
}

impl Drop for UpkeepThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
