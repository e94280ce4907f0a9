//! The server's instruments, when the benchmark asks for them: StatsD to a socket that nobody reads, so that the kernel
//! drops what arrives, and Prometheus at `/metrics`.

use axum::Router;
use bennu_telemetry::{Exporters, Telemetry};
use std::env;
use std::error::Error;
use std::net::UdpSocket;

/// Kept for as long as the server runs.
pub(crate) struct Instruments {
    exporters: Option<Exporters>,
    _statsd: UdpSocket,
}

/// Installs them if `CONFORMANCE_INSTRUMENTS` is set.
pub(crate) fn install() -> Result<Instruments, Box<dyn Error>> {
    let statsd = UdpSocket::bind("127.0.0.1:0")?;
    let exporters = match env::var_os("CONFORMANCE_INSTRUMENTS") {
        Some(_) => Some(Telemetry::new().statsd(&statsd.local_addr()?.to_string())?.prometheus().install()?),
        None => None,
    };
    Ok(Instruments { exporters, _statsd: statsd })
}

impl Instruments {
    pub(crate) fn router(&self) -> Router {
        self.exporters.as_ref().map(Exporters::metrics_router).unwrap_or_default()
    }
}
