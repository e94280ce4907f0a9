//! The builder of the exporters and the installation of their recorder.
//!
//! The program's `main` calls [`Telemetry::install`] once. The recorder checks the tag limit first and then routes by
//! name: instruments of the framework and the process go to the aggregates, all others to each exporter one by one.

use crate::address::{AddressError, resolve};
use crate::aggregate::{AGGREGATED_PREFIXES, AggregateRecorder, Aggregates, SharedRecorder};
use crate::exporters::{Exporters, Upkeep};
use crate::instrument;
#[cfg(feature = "opentelemetry")]
use crate::opentelemetry::OpenTelemetry;
use crate::prometheus::Prometheus;
use crate::statsd::Sender;
use crate::tag_limit::{MAX_TAG_VALUES, TagLimit};
use metrics::Recorder;
use metrics_util::MetricKindMask;
use metrics_util::layers::{Fanout, FanoutBuilder, RouterBuilder};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Configures the exporters and installs them; see the crate.
///
/// Install before the program creates an `Endpoint` and mounts sockets: instruments that were looked up earlier record
/// nothing.
#[must_use = "nothing is measured until `install` is called"]
pub struct Telemetry {
    aggregates: Arc<Aggregates>,
    /// Recorders that receive each measurement of the application.
    application: Vec<SharedRecorder>,
    /// Recorders that receive each measurement, the framework's included.
    unfiltered: Vec<SharedRecorder>,
    sender: Option<Sender>,
    prometheus: Option<Prometheus>,
    #[cfg(feature = "opentelemetry")]
    opentelemetry: Option<OpenTelemetry>,
    max_tag_values: usize,
}

/// An installation that failed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// No exporter is configured.
    #[error("no exporter is configured: call .statsd(..), .prometheus() or .recorder(..) before .install()")]
    NoExporter,
    /// A process has one recorder, and another one is installed already.
    #[error("a metrics recorder is already installed: call install once, at the start of the program")]
    AlreadyInstalled,
    /// The operating system started no thread.
    #[error("could not start the upkeep thread of the exporters: {0}")]
    Thread(#[from] io::Error),
}

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Telemetry {
    /// Creates a configuration without exporters.
    pub fn new() -> Self {
        Telemetry {
            aggregates: Arc::default(),
            application: Vec::new(),
            unfiltered: Vec::new(),
            sender: None,
            prometheus: None,
            #[cfg(feature = "opentelemetry")]
            opentelemetry: None,
            max_tag_values: MAX_TAG_VALUES,
        }
    }

    /// Sends to the StatsD server at an address such as `127.0.0.1:8126`, over UDP, with DogStatsD's tags.
    ///
    /// Each measurement of the application is one line in one datagram and is sent at once. The queue holds 10,000
    /// lines; further ones are lost and counted (`bennu.telemetry.lines_lost`). The framework's measurements are
    /// aggregated and sent once a second: counts, gauges, and durations as samples in milliseconds. One warning is
    /// logged when the server cannot be reached.
    ///
    /// # Errors
    /// [`AddressError::Invalid`] when `server` is not an address, and [`AddressError::Unusable`] when no socket can be
    /// opened. There is one server: a second call returns [`AddressError::Refused`] and replaces nothing.
    pub fn statsd(mut self, server: &str) -> Result<Self, AddressError> {
        let refused = |reason: String| AddressError::Refused { address: server.to_owned(), reason };
        if self.sender.is_some() {
            return Err(refused("a StatsD server is already configured".to_owned()));
        }
        let address = resolve(server)?;
        let sender =
            Sender::start(address).map_err(|error| AddressError::Unusable { address: server.to_owned(), error })?;
        self.application.push(Arc::new(sender.recorder()));
        self.sender = Some(sender);
        Ok(self)
    }

    /// Keeps the measurements for Prometheus, which scrapes [`Exporters::metrics_router`].
    ///
    /// Names follow Prometheus's conventions: `bennu.socket.connects` becomes `bennu_socket_connects_total`, and the
    /// name of a histogram of seconds ends with `_seconds`. The framework's durations have bounds from 0.1 ms to 10 s;
    /// other histograms from 0.0005 to 10,000, since their unit is not known.
    pub fn prometheus(mut self) -> Self {
        if self.prometheus.is_none() {
            let prometheus = Prometheus::new(self.aggregates.clone());
            self.application.push(prometheus.recorder());
            self.prometheus = Some(prometheus);
        }
        self
    }

    /// Sends to an OpenTelemetry collector by OTLP over HTTP, every 10 s and when [`Exporters`] is dropped. `collector`
    /// is the whole URL, such as `http://127.0.0.1:4318/v1/metrics`.
    ///
    /// # Errors
    /// [`AddressError::Refused`] when the exporter rejects the address, or a collector is already configured.
    #[cfg(feature = "opentelemetry")]
    pub fn opentelemetry(mut self, collector: &str) -> Result<Self, AddressError> {
        let refused = |reason: String| AddressError::Refused { address: collector.to_owned(), reason };
        if self.opentelemetry.is_some() {
            return Err(refused("a collector is already configured".to_owned()));
        }
        let exporter =
            OpenTelemetry::new(collector, self.aggregates.clone()).map_err(|error| refused(error.to_string()))?;
        self.application.push(exporter.recorder());
        self.opentelemetry = Some(exporter);
        Ok(self)
    }

    /// Adds a recorder of the `metrics` facade, such as the dashboard's or one of your own. It receives every
    /// measurement one by one, the instruments of each message included, and adds its own cost to each.
    pub fn recorder(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.unfiltered.push(Arc::new(recorder));
        self
    }

    /// Sets the number of values of one tag of one instrument; further values are counted as `other`. Default:
    /// [`MAX_TAG_VALUES`].
    pub fn max_tag_values(mut self, limit: usize) -> Self {
        self.max_tag_values = limit;
        self
    }

    /// Installs the recorder for the rest of the process and starts the exporters. Keep the returned [`Exporters`] for
    /// as long as the program runs: dropping it sends all queued measurements.
    ///
    /// # Errors
    /// [`InstallError`] when no exporter is configured, a recorder is already installed, or no thread can be started.
    pub fn install(self) -> Result<Exporters, InstallError> {
        if self.application.is_empty() && self.unfiltered.is_empty() {
            return Err(InstallError::NoExporter);
        }
        let application = fan_out(self.application.iter().chain(&self.unfiltered));
        let aggregating: SharedRecorder =
            Arc::new(AggregateRecorder { aggregates: self.aggregates.clone(), describe_to: self.application.clone() });
        let mut router = RouterBuilder::from_recorder(application);
        for prefix in AGGREGATED_PREFIXES {
            // Without an unfiltered recorder the aggregates need no fan-out, which is an indirect call a measurement.
            match &self.unfiltered[..] {
                [] => router.add_route(MetricKindMask::ALL, prefix, aggregating.clone()),
                unfiltered => {
                    let framework = fan_out(std::iter::once(&aggregating).chain(unfiltered));
                    router.add_route(MetricKindMask::ALL, prefix, framework)
                }
            };
        }
        let recorder = TagLimit::new(router.build(), self.max_tag_values);
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::AlreadyInstalled)?;
        instrument::describe();
        let upkeep = Upkeep {
            statsd: self.sender.as_ref().map(|sender| sender.aggregate_writer(self.aggregates.clone())),
            prometheus: self.prometheus.clone(),
            #[cfg(feature = "opentelemetry")]
            opentelemetry: self.opentelemetry.as_ref().map(OpenTelemetry::aggregate_forwarder),
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
        write!(f, "Telemetry({} exporters)", self.application.len() + self.unfiltered.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_exporter_nothing_is_installed_and_the_error_names_the_missing_call() {
        let error = Telemetry::new().install().unwrap_err().to_string();
        assert!(error.contains(".prometheus()"), "{error}");
    }

    #[test]
    fn the_error_for_an_invalid_address_names_it_and_gives_an_example() {
        let error = Telemetry::new().statsd("8126").unwrap_err().to_string();
        assert!(error.contains("\"8126\"") && error.contains("127.0.0.1:8126"), "{error}");
    }

    #[test]
    fn there_is_one_statsd_server() {
        let error = Telemetry::new().statsd("127.0.0.1:9").unwrap().statsd("127.0.0.1:9").unwrap_err();
        assert!(matches!(error, AddressError::Refused { .. }), "{error}");
    }
}
