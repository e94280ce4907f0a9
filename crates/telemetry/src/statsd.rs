//! StatsD over UDP, with DogStatsD's tags: what is sent, and a listener that shows it.
//!
//! Two recorders, told apart by the instrument's name. What an application measures goes out line by line and at once.
//! What the framework and the process say of themselves, `bennu.*` and `process_*`, happens up to a million times a
//! second: `metrics-exporter-dogstatsd` sums it and sends it once a second.

mod line;
mod listener;
mod recorder;
mod sender;

pub use line::Line;
pub use listener::StatsdListener;
pub(crate) use sender::Sender;

use metrics::Recorder;
use metrics_exporter_dogstatsd::{BuildError, DogStatsDBuilder};
use metrics_util::MetricKindMask;
use metrics_util::layers::RouterBuilder;
use recorder::LineRecorder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often the sums are sent.
const INTERVAL: Duration = Duration::from_secs(1);

/// A recorder for both; `sender` carries the lines of the application.
pub(crate) fn recorder(server: SocketAddr, sender: &Sender) -> Result<impl Recorder + Sync + use<>, BuildError> {
    let mut router = RouterBuilder::from_recorder(LineRecorder::new(sender.queue()));
    let summing = || {
        DogStatsDBuilder::default()
            .with_remote_address(server.to_string())?
            .with_flush_interval(INTERVAL)
            .send_histograms_as_distributions(false)
            .with_telemetry(false)
            .build()
    };
    let summing = Arc::new(summing()?);
    for prefix in line::SUMMED {
        router.add_route(MetricKindMask::ALL, prefix, summing.clone());
    }
    Ok(router.build())
}
