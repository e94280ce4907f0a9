//! The one call at startup: which exporters there are, and the recorder that feeds them all.

use crate::address::{AddressError, resolve};
use crate::exporters::{Exporters, Upkeep};
use crate::instrument;
#[cfg(feature = "opentelemetry")]
use crate::opentelemetry::OpenTelemetry;
use crate::prometheus::Prometheus;
use crate::statsd::Sender;
use crate::sum::{SUMMED, SharedRecorder, SumRecorder, Sums};
use crate::tag_limit::{MAX_TAG_VALUES, TagLimit};
use metrics::Recorder;
use metrics_util::MetricKindMask;
use metrics_util::layers::{Fanout, FanoutBuilder, RouterBuilder};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Chooses exporters and installs them; see the crate.
///
/// Install before an `Endpoint` is made and sockets are mounted: instruments that were looked up earlier stay mute.
#[must_use = "nothing is measured until `install` is called"]
pub struct Telemetry {
    sums: Arc<Sums>,
    /// What takes an application's measurements one by one.
    direct: Vec<SharedRecorder>,
    /// What takes everything one by one.
    others: Vec<SharedRecorder>,
    sender: Option<Sender>,
    prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    opentelemetry: Option<OpenTelemetry>,
    max_tag_values: usize,
}

/// Why nothing was installed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is nowhere to send anything.
    #[error("no exporter was chosen: call .statsd(..), .prometheus() or .recorder(..) before .install()")]
    NoExporter,
    /// A process has one recorder. What was looked up before belongs to the first.
    #[error("a metrics recorder is installed already: install once, where the program starts")]
    AlreadyInstalled,
    /// The system gives no thread.
    #[error("the thread that looks after the exporters cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Telemetry {
    /// No exporter yet.
    pub fn new() -> Self {
        Telemetry {
            sums: Sums::new(),
            direct: Vec::new(),
            others: Vec::new(),
            sender: None,
            prometheus: None,
            #[cfg(feature = "opentelemetry")]
            opentelemetry: None,
            max_tag_values: MAX_TAG_VALUES,
        }
    }

    /// Sends to the StatsD server at an address as `127.0.0.1:8126`, over UDP, with DogStatsD's tags.
    ///
    /// What the application measures is one line and one datagram each, at once: up to 10,000 may wait, further ones are
    /// lost and counted (`bennu.telemetry.lines_lost`). What the framework measures is summed and sent once a second: counts,
    /// gauges, and durations as samples in milliseconds. A server that is not there is warned of once.
    ///
    /// # Errors
    /// [`AddressError`] when it is no address, or no socket can be had. Calling it again replaces nothing: there is one
    /// server, and the second is [`AddressError::Refused`].
    pub fn statsd(mut self, server: &str) -> Result<Self, AddressError> {
        let refused = |why: String| AddressError::Refused { address: server.to_owned(), why };
        if self.sender.is_some() {
            return Err(refused("there is a StatsD server already".to_owned()));
        }
        let address = resolve(server)?;
        let sender =
            Sender::start(address).map_err(|error| AddressError::Unusable { address: server.to_owned(), error })?;
        self.direct.push(Arc::new(sender.recorder()));
        self.sender = Some(sender);
        Ok(self)
    }

    /// Keeps what Prometheus scrapes: mount [`Exporters::metrics_router`].
    ///
    /// Names are Prometheus's: `bennu.socket.connects` is `bennu_socket_connects_total`, a histogram of seconds ends with
    /// `_seconds`. The framework's durations have bounds from 0.1 ms to 10 s; other histograms from 0.0005 to 10,000,
    /// since their unit is not known.
    pub fn prometheus(mut self) -> Self {
        if self.prometheus.is_none() {
            let prometheus = Prometheus::new(self.sums.clone());
            self.direct.push(prometheus.recorder());
            self.prometheus = Some(prometheus);
        }
        self
    }

    /// Sends to an OpenTelemetry collector, by OTLP over HTTP: the whole address, as
    /// `http://127.0.0.1:4318/v1/metrics`. Every 10 s, and when [`Exporters`] is dropped.
    ///
    /// # Errors
    /// [`AddressError::Refused`] when the exporter does not take the address, or there is a collector already.
    #[cfg(feature = "opentelemetry")]
    pub fn opentelemetry(mut self, collector: &str) -> Result<Self, AddressError> {
        let refused = |why: String| AddressError::Refused { address: collector.to_owned(), why };
        if self.opentelemetry.is_some() {
            return Err(refused("there is a collector already".to_owned()));
        }
        let exporter = OpenTelemetry::new(collector, self.sums.clone()).map_err(|error| refused(error.to_string()))?;
        self.direct.push(exporter.recorder());
        self.opentelemetry = Some(exporter);
        Ok(self)
    }

    /// Feeds one more recorder of the `metrics` facade, as the dashboard's or one of your own. It gets everything one by one,
    /// each message's instruments too, and costs what it costs.
    pub fn recorder(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.others.push(Arc::new(recorder));
        self
    }

    /// How many values one tag of one instrument may take before further ones become `other`. Default
    /// [`MAX_TAG_VALUES`].
    pub fn max_tag_values(mut self, limit: usize) -> Self {
        self.max_tag_values = limit;
        self
    }

    /// Installs the recorder, for the whole process and until it ends, and starts what the exporters need. Keep what it
    /// returns for as long as the program runs: dropping it sends what waits.
    ///
    /// # Errors
    /// [`InstallError`]: no exporter, a second recorder, or no thread.
    pub fn install(self) -> Result<Exporters, InstallError> {
        if self.direct.is_empty() && self.others.is_empty() {
            return Err(InstallError::NoExporter);
        }
        let application = fan_out(self.direct.iter().chain(&self.others));
        let summing: SharedRecorder =
            Arc::new(SumRecorder { sums: self.sums.clone(), describe_to: self.direct.clone() });
        let mut router = RouterBuilder::from_recorder(application);
        for prefix in SUMMED {
            // A message's instruments reach the sums without a detour, unless somebody else wants them too.
            match &self.others[..] {
                [] => router.add_route(MetricKindMask::ALL, prefix, summing.clone()),
                others => {
                    let framework = fan_out(std::iter::once(&summing).chain(others));
                    router.add_route(MetricKindMask::ALL, prefix, framework)
                }
            };
        }
        let recorder = TagLimit::new(router.build(), self.max_tag_values);
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::AlreadyInstalled)?;
        instrument::describe();
        let upkeep = Upkeep {
            sum_lines: self.sender.as_ref().map(|sender| sender.sum_lines(self.sums.clone())),
            prometheus: self.prometheus.clone(),
            #[cfg(feature = "opentelemetry")]
            opentelemetry: self.opentelemetry.as_ref().map(OpenTelemetry::sum_relay),
        };
        Ok(Exporters {
            upkeep: Some(upkeep.start()?),
            prometheus: self.prometheus,
            #[cfg(feature = "opentelemetry")]
            opentelemetry: self.opentelemetry,
            sender: self.sender,
        })
    }
}

fn fan_out<'a>(recorders: impl Iterator<Item = &'a SharedRecorder>) -> Fanout {
    recorders.fold(FanoutBuilder::default(), |fanout, recorder| fanout.add_recorder(recorder.clone())).build()
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Telemetry({} exporters)", self.direct.len() + self.others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_exporter_nothing_is_installed_and_the_error_says_what_to_call() {
        let error = Telemetry::new().install().unwrap_err().to_string();
        assert!(error.contains(".prometheus()"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_named_and_an_example_given() {
        let error = Telemetry::new().statsd("8126").unwrap_err().to_string();
        assert!(error.contains("\"8126\"") && error.contains("127.0.0.1:8126"), "{error}");
    }

    #[test]
    fn there_is_one_statsd_server() {
        let error = Telemetry::new().statsd("127.0.0.1:9").unwrap().statsd("127.0.0.1:9").unwrap_err();
        assert!(matches!(error, AddressError::Refused { .. }), "{error}");
    }
}
