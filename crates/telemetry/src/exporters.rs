//! What an installation has set going, and its end.

use crate::statsd::Sender;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
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
    // Dropped in this order: the upkeep may measure once more.
    pub(crate) _upkeep: Upkeep,
    pub(crate) prometheus: Option<PrometheusHandle>,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: Option<opentelemetry_sdk::metrics::SdkMeterProvider>,
    pub(crate) sender: Option<Sender>,
}

impl Exporters {
    /// `GET /metrics` for Prometheus. Anybody who can reach it can read it: merge it into a router that only your own
    /// network reaches, or put your layer around it.
    ///
    /// Without [`crate::Telemetry::prometheus`] it answers 404 and says so.
    pub fn metrics_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        crate::prometheus::router(self.prometheus.clone())
    }

    /// What `/metrics` answers; `None` without [`crate::Telemetry::prometheus`].
    pub fn render_prometheus(&self) -> Option<String> {
        self.prometheus.as_ref().map(PrometheusHandle::render)
    }
}

#[cfg(feature = "opentelemetry")]
impl Drop for Exporters {
    fn drop(&mut self) {
        if let Some(provider) = self.opentelemetry.take()
            && let Err(error) = provider.shutdown_with_timeout(Duration::from_secs(5))
        {
            tracing::warn!(%error, "the last measurements did not reach the OpenTelemetry collector");
        }
    }
}

impl fmt::Debug for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prometheus, statsd) = (self.prometheus.is_some(), self.sender.is_some());
        f.debug_struct("Exporters").field("prometheus", &prometheus).field("statsd", &statsd).finish_non_exhaustive()
    }
}

/// How often Prometheus's histograms take in what was recorded: until then each value waits, 8 bytes each.
const TAKE_IN: Duration = Duration::from_secs(1);

/// How many of those pass until the process is looked at again: counting its open files costs a look at each.
const PROCESS_EVERY: u32 = 10;

/// The thread that keeps the exporters small and measures the process: `process_resident_memory_bytes` and its like, by
/// their usual names.
pub(crate) struct Upkeep {
    /// Dropped to end the thread.
    running: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(prometheus: Option<PrometheusHandle>) -> io::Result<Self> {
        let (running, until) = sync_channel::<()>(0);
        let collector = Collector::default();
        collector.describe();
        collector.collect();
        let thread = std::thread::Builder::new().name("telemetry-upkeep".to_owned()).spawn(move || {
            let mut turn = 0;
            while until.recv_timeout(TAKE_IN) == Err(RecvTimeoutError::Timeout) {
                if let Some(prometheus) = &prometheus {
                    prometheus.run_upkeep();
                }
                turn = (turn + 1) % PROCESS_EVERY;
                if turn == 0 {
                    collector.collect();
                }
            }
        })?;
        Ok(Upkeep { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
