//! A live page of a Bennu application: what comes and goes each second, who is connected, which channels run, how long
//! handlers and joins take, and what has gone wrong.
//!
//! ```no_run
//! use bennu::{Endpoint, token::Secret};
//! use bennu_dashboard::{Access, Dashboard};
//! use bennu_telemetry::Telemetry;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dashboard = Dashboard::new();
//! // Before the endpoint is made: what was looked up earlier is not measured.
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
//! The page is then at `/dashboard?token=…`. It is a channel client itself: it joins a topic that
//! nobody can guess, and gets one snapshot a second, encoded once for all who look. While nobody looks, nothing is done but
//! the counting: see [`Dashboard::recorder`].
//!
//! What is shown is this node's, since it was started; five minutes are kept while somebody looks.
//!
//! # Who may look
//!
//! Nobody, unless you say so: [`Access`] has no default. It guards the page and its socket. The files that the page loads
//! hold nothing of yours and are open.

mod access;
mod channel;
mod dashboard;
mod histogram;
mod page;
mod process;
mod recorder;
mod snapshot;
mod ticker;

pub use access::Access;
pub use dashboard::{Dashboard, DashboardError};
pub use recorder::DashboardRecorder;
