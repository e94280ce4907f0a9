//! The exporters of the measurements: the page at `/dashboard`, `/metrics` for Prometheus, and StatsD lines to the
//! server in `STATSD`, or without that variable to standard output.
//!
//! `serve` starts them before it mounts the application, and keeps them until the end.

use axum::Router;
use bennu::Endpoint;
use bennu_dashboard::{Access, Dashboard, DashboardError};
use bennu_telemetry::{AddressError, Exporters, InstallError, StatsdListener, Telemetry};
use std::env::{self, VarError};
use tokio::task::JoinHandle;

/// Exporters that could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasurementError {
    #[error("could not use STATSD: {0}")]
    Address(#[from] AddressError),
    #[error("could not use STATSD: its value is not UTF-8")]
    NotText,
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
}

/// The running exporters; dropping them sends all queued measurements.
pub(crate) struct Measurement {
    exporters: Exporters,
    dashboard: Dashboard,
    printing: Option<JoinHandle<()>>,
}

impl Measurement {
    /// Installs the exporters.
    ///
    /// # Errors
    /// [`MeasurementError`]
    pub(crate) fn start() -> Result<Self, MeasurementError> {
        let (server, listener) = match env::var("STATSD") {
            Ok(server) => (server, None),
            Err(VarError::NotPresent) => {
                let listener = StatsdListener::bind("127.0.0.1:0")?;
                (listener.address().to_string(), Some(listener))
            }
            Err(VarError::NotUnicode(_)) => return Err(MeasurementError::NotText),
        };
        let dashboard = Dashboard::new();
        let exporters = Telemetry::new().statsd(&server)?.prometheus().recorder(dashboard.recorder()).install()?;
        Ok(Measurement { exporters, dashboard, printing: listener.map(|listener| tokio::spawn(listener.print())) })
    }

    /// Returns the routes `/metrics` and `/dashboard`, without access control: the server listens on the loopback
    /// address only.
    ///
    /// # Errors
    /// [`MeasurementError::Dashboard`]
    pub(crate) fn routes(&self, endpoint: &Endpoint) -> Result<Router, MeasurementError> {
        let dashboard = self.dashboard.router("/dashboard", endpoint, Access::everyone())?;
        Ok(self.exporters.metrics_router().merge(dashboard))
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        if let Some(printing) = &self.printing {
            printing.abort();
        }
    }
}
