//! A live page of a Bennu application: rates of messages, joins and connects, open connections, channels by type,
//! durations of handlers and joins, and errors.
//!
//! ```no_run
//! use bennu::{Endpoint, token::Secret};
//! use bennu_dashboard::{Access, Dashboard};
//! use bennu_telemetry::Telemetry;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dashboard = Dashboard::new();
//! // Before the endpoint is made: instruments that were looked up earlier are not measured.
//! let exporters = Telemetry::new().prometheus().recorder(dashboard.recorder()).install()?;
//! let endpoint = Endpoint::new(Secret::new(std::env::var("SECRET_KEY_BASE")?)?);
//! let access = Access::token(std::env::var("DASHBOARD_TOKEN")?);
//! let app: axum::Router = axum::Router::new()
//!     .merge(exporters.metrics_router())
//!     .merge(dashboard.router("/dashboard", &endpoint, access)?);
//! # Ok(())
//! # }
//! ```
//!
//! The page is then at `/dashboard?token=…`. The page is a channel client itself: it joins a topic with a random name
//! and receives one snapshot a second, encoded once for all open pages. While no page is open, only the recorder runs:
//! see [`Dashboard::recorder`].
//!
//! The page shows the measurements of this node since its start. The server keeps five minutes of snapshots while a
//! page is open.
//!
//! # Access
//!
//! [`Access`] has no default, so each dashboard states its rule. The rule guards the page and its socket. The files
//! that the page loads contain no data of the application and are open.

mod access;
mod channel;
mod dashboard;
mod page;
mod publisher;
mod recorder;
mod snapshot;

pub use access::Access;
pub use dashboard::{Dashboard, DashboardError};
pub use recorder::DashboardRecorder;
