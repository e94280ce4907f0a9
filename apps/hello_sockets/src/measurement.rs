//! Where what is measured goes: to the page at `/dashboard`, to `/metrics` for Prometheus, and as StatsD lines to the server
//! that `STATSD` names, or else to standard output, where one sees them happen.
//!
//! Started before anything is mounted, and kept by `serve` until the end.

use axum::Router;
use bennu::Endpoint;
use bennu_dashboard::{Access, Dashboard, DashboardError};
use bennu_telemetry::{AddressError, Exporters, InstallError, StatsdListener, Telemetry};
use std::env::{self, VarError};
use tokio::task::JoinHandle;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasurementError {
    #[error("STATSD cannot be used: {0}")]
    Address(#[from] AddressError),
    #[error("STATSD cannot be used: it is not UTF-8")]
    NotText,
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
}

/// Measures until it is dropped.
pub(crate) struct Measurement {
    exporters: Exporters,
    dashboard: Dashboard,
    printing: Option<JoinHandle<()>>,
}

impl Measurement {
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

    /// `/metrics` and `/dashboard`, for everybody: the server listens on the loopback address alone.
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
