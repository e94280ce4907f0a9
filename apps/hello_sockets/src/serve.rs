//! The running server: its endpoint, pipeline and pages, as one service.
//!
//! `command` calls [`serve`]. Listening, signals, the control socket and the drain are `app_service`'s. Standard output
//! has the server's address, the StatsD lines, and the result of the drain.

use crate::control::execute;
use crate::measurement::{Measurement, MeasurementError};
use crate::page::phoenix_client;
use crate::pipeline;
use crate::tracker::UserTracker;
use crate::{APP, AppError, app};
use app_service::cluster::{self, ClusterConfigError};
use app_service::secret::{self, SecretSourceError};
use app_service::serve::{self, ServeError, Service};
use bennu::Endpoint;
use std::env;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// The directory of the pages' files in the source repository; `ASSETS` replaces it.
const REPOSITORY_ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// The time limit for the delivery of queued pushes after a stop signal.
const PIPELINE_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that could not start, or that did not drain.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum StartError {
    Serve(#[from] ServeError),
    Secret(#[from] SecretSourceError),
    Cluster(#[from] ClusterConfigError),
    Measurement(#[from] MeasurementError),
    App(#[from] AppError),
    Pipeline(#[from] bennu_pipeline::StartError),
}

/// Serves on `port` of the loopback address (0: a free port) until Ctrl-C or SIGTERM, then drains. A second signal ends
/// the drain at once.
///
/// # Errors
/// [`StartError`]
pub(crate) async fn serve(port: u16) -> Result<(), StartError> {
    // The loopback address only, since the application has no login.
    let service = Service::listen(APP, "HelloSockets", (Ipv4Addr::LOCALHOST, port))?;
    let measurement = Measurement::start()?;
    let endpoint = Endpoint::builder(secret::from_env()?).pubsub(cluster::pubsub()?).build();
    let users = UserTracker::start(&endpoint, cluster::down_after()?);
    let assets = serve::assets(REPOSITORY_ASSETS);
    let app = app(&endpoint, users, &assets)?.merge(measurement.routes(&endpoint)?);
    let (pipeline, producer) = pipeline::start(&endpoint)?;
    warn_of_missing_client(&assets);

    let commanded = endpoint.clone();
    let service = service
        .commands(move |request| {
            let (endpoint, producer) = (commanded.clone(), producer.clone());
            async move { execute(request, &endpoint, &producer).await }
        })
        .before_close(async move {
            if let Err(error) = pipeline.drain(PIPELINE_DRAIN_TIMEOUT).await {
                tracing::warn!(%error, "could not deliver all queued pushes before the deadline");
            }
        });
    Ok(service.run(app, &endpoint).await?)
}

fn warn_of_missing_client(assets: &Path) {
    if !phoenix_client(assets).exists() {
        tracing::warn!(
            "the page does not work without the Phoenix client: run npm ci --prefix {} (bin/run does this)",
            assets.display()
        );
    }
}
