//! The running server: its listener, its secret, its pipeline, its control socket, and its end.
//!
//! Standard output says where it listens, what is measured, and how it ended; the log goes to standard error, as `RUST_LOG`
//! says.

use crate::cluster::{self, ClusterError};
use crate::control::{ControlError, ControlSocket};
use crate::measurement::{Measurement, MeasurementError};
use crate::page::phoenix_client;
use crate::pipeline;
use crate::port;
use crate::stop_signal::StopSignal;
use crate::tracker::UserTracker;
use crate::{AppError, app};
use bennu::token::{Secret, SecretError};
use bennu::{BindError, Drained, Endpoint};
use bennu_pipeline::StartError;
use std::env;
use std::future::IntoFuture;
use std::io::{self, IsTerminal, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What the page loads, in the repository that this was built in; `ASSETS` names another directory.
const REPOSITORY_ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// How long what was sent to users may take to be delivered once the server is to stop.
const PIPELINE_DRAIN: Duration = Duration::from_secs(5);

/// Why the server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("port {port} is in use: choose another with {}", port::start(port.checked_add(1).unwrap_or(port::DEFAULT_PORT)))]
    PortInUse { port: u16 },
    #[error(transparent)]
    Listen(#[from] BindError),
    #[error("could not serve: {0}")]
    Serving(io::Error),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("no random secret can be made: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Measurement(#[from] MeasurementError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Pipeline(#[from] StartError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    #[error("stopped at once, with {connections} connections open")]
    Impatient { connections: usize },
}

/// Serves on this machine's `port` (0: any that is free) until Ctrl-C or SIGTERM, then drains. A second signal ends it
/// at once.
///
/// # Errors
/// [`ServeError`]
pub(crate) async fn serve(port: u16) -> Result<(), ServeError> {
    start_log();
    let listener = listen(port)?;
    let measurement = Measurement::start()?;
    let endpoint = Endpoint::builder(secret()?).pubsub(cluster::pubsub()?).build();
    let users = UserTracker::start(&endpoint, cluster::down_after()?);
    let assets = env::var_os("ASSETS").map_or_else(|| PathBuf::from(REPOSITORY_ASSETS), PathBuf::from);
    let app = app(&endpoint, users, &assets)?.merge(measurement.routes(&endpoint)?);
    let (pipeline, producer) = pipeline::start(&endpoint)?;
    let port = listener.local_addr().map_err(ServeError::Serving)?.port();
    let control = ControlSocket::bind(port)?;
    let mut signal = StopSignal::new().map_err(ServeError::Signals)?;
    warn_of_missing_client(&assets);
    say(&format!("HelloSockets at http://localhost:{port}"));

    let mut draining_since = Instant::now();
    let (stop, stopped) = oneshot::channel();
    let served = endpoint.clone();
    let shutdown = async move {
        tokio::select! {
            _ = stopped => {}
            () = control.serve(&served, &producer) => {}
        }
        // Before the connections are told to go: what was sent shall still arrive.
        if let Err(error) = pipeline.drain(PIPELINE_DRAIN).await {
            tracing::warn!(%error, "not all that was sent to users has been delivered");
        }
    };
    let asked_twice = async {
        signal.received().await;
        draining_since = Instant::now();
        say(&format!("Draining {} (Ctrl-C again ends at once)", connections(endpoint.connection_count())));
        let _ = stop.send(());
        signal.received().await;
    };
    let drained = tokio::select! {
        drained = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(shutdown).into_future() => {
            drained.map_err(ServeError::Serving)?
        }
        () = asked_twice => return Err(ServeError::Impatient { connections: endpoint.connection_count() }),
    };
    say(&report(drained, draining_since));
    Ok(())
}

fn start_log() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(io::stderr).init();
}

/// The secret of the environment, or a new one: there is nothing that one must configure.
fn secret() -> Result<Secret, ServeError> {
    match Secret::from_env("SECRET_KEY_BASE") {
        Err(SecretError::NotSet { .. }) => {
            tracing::info!("SECRET_KEY_BASE is not set: the secret is a random one, and tokens end with this process");
            let mut random = [0; 32];
            getrandom::fill(&mut random)?;
            Ok(Secret::new(random.map(|byte| format!("{byte:02x}")).concat())?)
        }
        secret => Ok(secret?),
    }
}

fn warn_of_missing_client(assets: &Path) {
    if !phoenix_client(assets).exists() {
        tracing::warn!(
            "the page cannot work yet, it lacks the Phoenix client: npm ci --prefix {} (bin/run does it)",
            assets.display()
        );
    }
}

/// On the loopback address alone: nothing here is meant for the network.
fn listen(port: u16) -> Result<TcpListener, ServeError> {
    bennu::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortInUse { port },
        _ => ServeError::Listen(error),
    })
}

fn report(drained: Drained, since: Instant) -> String {
    let (told, seconds) = (connections(drained.connections), since.elapsed().as_secs_f64());
    match drained.left {
        0 => format!("Drained {told} in {seconds:.2} s"),
        left => format!("Drained {told} in {seconds:.2} s, and gave up on {left} of them"),
    }
}

fn connections(count: usize) -> String {
    format!("{count} {}", if count == 1 { "connection" } else { "connections" })
}

/// Standard output may be a pipe that its reader has closed, and that is no reason to stop serving.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
