//! Measurements of a Bennu application: one call at startup exports the instruments of the framework and of the
//! application to StatsD, Prometheus and OpenTelemetry.
//!
//! All measurements go through the [`metrics`] facade. The framework uses its macros; an application uses four
//! functions: [`increment`], [`gauge`], [`measure`] (with [`measure_async`]) and [`histogram`].
//!
//! ```no_run
//! use bennu_telemetry::{Telemetry, increment, measure_async};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Before anything is mounted, and kept for as long as the program runs.
//! let exporters = Telemetry::new().statsd("127.0.0.1:8126")?.prometheus().install()?;
//! let app: axum::Router = axum::Router::new().merge(exporters.metrics_router());
//!
//! increment("socket_connect", 1, &[("status", "success"), ("socket", "StatsSocket")]);
//! let answer = measure_async("stats_channel.ping", &[], async { "pong" }).await;
//! # let _ = (app, answer);
//! # Ok(())
//! # }
//! ```
//!
//! A StatsD server then receives `socket_connect:1|c|#status:success,socket:StatsSocket` and
//! `stats_channel.ping:712|ms`, and `/metrics` contains `socket_connect_total` and the histogram
//! `stats_channel_ping_seconds`. [`StatsdListener`] prints the lines during development and returns them to tests.
//!
//! # The number of series
//!
//! The exporters keep every combination of a name and its tags' values until the program ends, so the number of
//! combinations must be bounded. The functions accept `&'static str` only: all their names and tags are literals of the
//! program. The facade's macros accept any string; for those there is a limit, [`MAX_TAG_VALUES`]: further values of a
//! tag are counted as `other`, and one warning names the tag.

mod address;
mod aggregate;
mod exporters;
mod histogram;
mod instrument;
mod measurement;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod prometheus;
mod shard;
mod statsd;
mod tag_limit;
mod telemetry;

pub use address::AddressError;
pub use aggregate::Aggregates;
pub use exporters::Exporters;
pub use histogram::{BUCKET_BOUNDS, Bucket};
pub use instrument::{INSTRUMENTS, Instrument, InstrumentKind, Tag};
pub use measurement::{gauge, histogram, increment, measure, measure_async};
pub use statsd::{Line, StatsdListener};
pub use tag_limit::MAX_TAG_VALUES;
pub use telemetry::{InstallError, Telemetry};

/// The listings of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/measuring.md")]
struct Guide;
