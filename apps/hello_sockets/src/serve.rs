//! The running server: its listener, secret, pipeline and control socket, and its shutdown.
//!
//! `command` calls [`serve`]. Standard output has the server's address, the StatsD lines, and the result of the drain;
//! the log is written to standard error, filtered by `RUST_LOG`.

use crate::cluster::{self, ClusterError};
use crate::control::{ControlError, ControlSocket, DEFAULT_PORT, start_command};
use crate::measurement::{Measurement, MeasurementError};
use crate::page::phoenix_client;
use crate::pipeline;
use crate::tracker::UserTracker;
use crate::{AppError, app};
use bennu::error::BindError;
use bennu::token::{Secret, SecretError};
use bennu::{Drained, Endpoint};
use bennu_pipeline::StartError;
use std::env;
use std::future::IntoFuture;
use std::io::{self, IsTerminal, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The directory of the pages' files in the source repository; `ASSETS` replaces it.
const REPOSITORY_ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// The time limit for the delivery of queued pushes after a stop signal.
const PIPELINE_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that could not start, or that did not drain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("port {port} is in use: choose another with {}", start_command(port.checked_add(1).unwrap_or(DEFAULT_PORT)))]
    PortInUse { port: u16 },
    #[error(transparent)]
    Listen(#[from] BindError),
    #[error("could not serve: {0}")]
    Serving(io::Error),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("could not create a random secret: {0}")]
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
    #[error("could not install the signal handlers: {0}")]
    Signals(#[source] io::Error),
    #[error("stopped by a second signal, with {connections} connections open")]
    Interrupted { connections: usize },
}

/// Serves on `port` of the loopback address (0: a free port) until Ctrl-C or SIGTERM, then drains. A second signal ends
/// the drain at once.
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
    let mut signals = StopSignals::new().map_err(ServeError::Signals)?;
    warn_of_missing_client(&assets);
    print_line(&format!("HelloSockets at http://localhost:{port}"));

    let mut draining_since = Instant::now();
    let (stop, stopped) = oneshot::channel();
    let served = endpoint.clone();
    let shutdown = async move {
        tokio::select! {
            _ = stopped => {}
            () = control.serve(&served, &producer) => {}
        }
        // Queued pushes are delivered before the connections close.
        if let Err(error) = pipeline.drain(PIPELINE_DRAIN_TIMEOUT).await {
            tracing::warn!(%error, "could not deliver all queued pushes before the deadline");
        }
    };
    let second_signal = async {
        signals.recv().await;
        draining_since = Instant::now();
        print_line(&format!("Draining {} (Ctrl-C again ends at once)", connections(endpoint.connection_count())));
        let _ = stop.send(());
        signals.recv().await;
    };
    let drained = tokio::select! {
        drained = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(shutdown).into_future() => {
            drained.map_err(ServeError::Serving)?
        }
        () = second_signal => return Err(ServeError::Interrupted { connections: endpoint.connection_count() }),
    };
    print_line(&report(drained, draining_since));
    Ok(())
}

fn start_log() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(io::stderr).init();
}

/// Returns the secret of the environment, or a random one.
fn secret() -> Result<Secret, ServeError> {
    match Secret::from_env("SECRET_KEY_BASE") {
        Err(SecretError::NotSet { .. }) => {
            tracing::info!(
                "SECRET_KEY_BASE is not set: the secret is random, and its tokens are valid until this process ends"
            );
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
            "the page does not work without the Phoenix client: run npm ci --prefix {} (bin/run does this)",
            assets.display()
        );
    }
}

/// Listens on the loopback address only, since the application has no login.
fn listen(port: u16) -> Result<TcpListener, ServeError> {
    bennu::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortInUse { port },
        _ => ServeError::Listen(error),
    })
}

fn report(drained: Drained, since: Instant) -> String {
    let (drained_connections, seconds) = (connections(drained.connections), since.elapsed().as_secs_f64());
    match drained.left {
        0 => format!("Drained {drained_connections} in {seconds:.2} s"),
        left => format!("Drained {drained_connections} in {seconds:.2} s, and gave up on {left} of them"),
    }
}

fn connections(count: usize) -> String {
    format!("{count} {}", if count == 1 { "connection" } else { "connections" })
}

/// Prints a line. Standard output may be a closed pipe, which does not stop the server.
fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Ctrl-C and SIGTERM. From its creation on, the two signals no longer end the process by themselves.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns after the next signal. A signal that arrived between two calls is not lost.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
