//! Measurements of a Bennu application: one call at startup sends what the framework and the application measure to
//! StatsD, Prometheus and OpenTelemetry.
//!
//! Everything goes through the [`metrics`] facade. The framework uses it as it is; for an application there are four
//! verbs: [`increment`], [`gauge`], [`measure`] (with [`measure_async`]) and [`histogram`].
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
//! A StatsD server then gets `socket_connect:1|c|#status:success,socket:StatsSocket` and `stats_channel.ping:712|ms`, and
//! `/metrics` has `socket_connect_total` and the histogram `stats_channel_ping_seconds`. [`StatsdListener`] shows the lines
//! during development, and hands them to tests.
//!
//! # How many series
//!
//! Every combination of a name and its tags' values is kept by the exporters until the program ends, so their number must
//! be bounded. The verbs take `&'static str` alone: what they can say was written into the program. The facade's macros take
//! any string; for those there is a limit, [`MAX_TAG_VALUES`]: further values of a tag become `other`, and one warning
//! says which tag it was.

mod address;
mod bound;
mod duration;
mod exporters;
mod instrument;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod prometheus;
mod shard;
mod statsd;
mod sum;
mod tag_limit;
mod telemetry;
mod verb;

pub use address::AddressError;
pub use exporters::Exporters;
pub use instrument::{INSTRUMENTS, Instrument, InstrumentKind, Tag};
pub use statsd::{Line, StatsdListener};
pub use tag_limit::MAX_TAG_VALUES;
pub use telemetry::{InstallError, Telemetry};
pub use verb::{gauge, histogram, increment, measure, measure_async};

/// The listings of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/measuring.md")]
struct Guide;
