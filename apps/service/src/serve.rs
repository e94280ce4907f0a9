//! The running server of an application: its log, its listener, its control socket, and its shutdown.
//!
//! An application calls [`Service::listen`] first and [`Service::run`] last. Standard output has the server's address and
//! the result of the drain; the log is written to standard error, filtered by `RUST_LOG`. Until `run` is awaited, a stop
//! signal ends the process at once; from then on it begins the drain.

use crate::control::{self, ControlError, ControlSocket};
use crate::{DEFAULT_PORT, start_command};
use axum::Router;
use bennu::error::BindError;
use bennu::{Drained, Endpoint};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use std::env::{self, VarError};
use std::fmt;
use std::future::{Future, IntoFuture, pending, ready};
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A server that listens, and that serves when [`Service::run`] is awaited.
///
/// ```no_run
/// # async fn main_(router: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use app_service::{cluster, secret, serve::Service};
/// use bennu::Endpoint;
///
/// let service = Service::listen("my_app", "My app", ([127, 0, 0, 1], 4000))?;
/// let endpoint = Endpoint::builder(secret::from_env()?).pubsub(cluster::pubsub()?).build();
/// service
///     .commands(async |topic: String| Ok(format!("there is nothing to do for {topic}")))
///     .before_close(async { println!("delivering all that waits") })
///     .run(router, &endpoint)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a service serves when `run` is awaited"]
pub struct Service {
    app: &'static str,
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    commands: Option<Box<dyn FnOnce(ControlSocket) -> BoxFuture<'static, ()> + Send>>,
    before_close: BoxFuture<'static, ()>,
}

/// A server that could not start, or that did not drain. Its text is one line for the terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another server listens on the port.
    #[error("port {port} is in use: choose another with {}", start_command(app, port.checked_add(1).unwrap_or(DEFAULT_PORT)))]
    PortInUse {
        /// The application.
        app: &'static str,
        /// Its port.
        port: u16,
    },
    /// The variable `HOST` has this value.
    #[error(
        "could not use HOST: {0:?} is not an IP address; 127.0.0.1 is this machine, and 0.0.0.0 all of its networks"
    )]
    Host(String),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The listener failed.
    #[error("could not serve: {0}")]
    Serving(#[source] io::Error),
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The handlers of Ctrl-C and SIGTERM cannot be installed.
    #[error("could not install the signal handlers: {0}")]
    Signals(#[source] io::Error),
    /// A second signal ended the drain.
    #[error("stopped by a second signal, with {connections} connections open")]
    Interrupted {
        /// The number of connections that were open.
        connections: usize,
    },
}

/// Writes the log to standard error, filtered by `RUST_LOG` (default `info`). [`Service::listen`] calls it; a second
/// call does nothing.
pub fn start_log() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let ansi = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(io::stderr);
    // It fails only when a log was started before.
    let _ = log.try_init();
}

/// Returns the IP address of the variable `HOST`, or without it the loopback address. For an application that has a
/// login; others listen on the loopback address only.
///
/// # Errors
/// [`ServeError::Host`]
pub fn host() -> Result<IpAddr, ServeError> {
    match env::var("HOST") {
        Ok(host) => host.parse().map_err(|_| ServeError::Host(host)),
        Err(VarError::NotPresent) => Ok(Ipv4Addr::LOCALHOST.into()),
        Err(VarError::NotUnicode(host)) => Err(ServeError::Host(host.to_string_lossy().into_owned())),
    }
}

/// Returns the directory of the pages' files: the variable `ASSETS`, or without it the one of the source repository.
pub fn assets(of_repository: &str) -> PathBuf {
    env::var_os("ASSETS").map_or_else(|| of_repository.into(), PathBuf::from)
}

impl Service {
    /// Starts the log, and listens on an address; port 0 is a free port. `app` is the name of the application's package,
    /// as `bin/run` and the control socket use it; `name` is its name for people. Connections wait until
    /// [`Service::run`].
    ///
    /// # Errors
    /// [`ServeError::PortInUse`], [`ServeError::Listen`]
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn listen(app: &'static str, name: &'static str, address: impl Into<SocketAddr>) -> Result<Self, ServeError> {
        start_log();
        let address = address.into();
        let listener = bennu::bind(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::PortInUse { app, port: address.port() },
            _ => ServeError::Listen(error),
        })?;
        let address = listener.local_addr().map_err(ServeError::Serving)?;
        Ok(Service { app, name, listener, address, commands: None, before_close: Box::pin(ready(())) })
    }

    /// Returns the address on which the service listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a control socket, and calls `handler` for each request, as
    /// [`ControlSocket::serve`](crate::control::ControlSocket::serve), until the drain begins. Default: there is no
    /// control socket.
    pub fn commands<Request, Answer>(mut self, handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self
    where
        Request: DeserializeOwned + Send + 'static,
        Answer: Future<Output = control::Response> + Send + 'static,
    {
        self.commands = Some(Box::new(move |socket| Box::pin(socket.serve(handler))));
        self
    }

    /// Runs `work` after the stop signal, before the connections close: clients still receive messages, and new ones
    /// still connect. The drain waits for `work`, which therefore needs a time limit of its own. Default: nothing.
    pub fn before_close(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.before_close = Box::pin(work);
        self
    }

    /// Serves until Ctrl-C or SIGTERM, then drains: runs the work of [`Service::before_close`], closes the connections,
    /// and returns. Prints the address, the begin and the result of the drain. A second signal ends the drain at once.
    ///
    /// # Errors
    /// [`ServeError`]
    pub async fn run(self, router: Router, endpoint: &Endpoint) -> Result<(), ServeError> {
        let commands: BoxFuture<'static, ()> = match self.commands {
            Some(serve) => serve(ControlSocket::bind(self.app, self.address.port())?),
            None => Box::pin(pending()),
        };
        let mut signals = StopSignals::new().map_err(ServeError::Signals)?;
        print_line(&format!("{} at {}", self.name, Url(self.address)));

        let mut draining_since = Instant::now();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            tokio::select! {
                _ = stopped => {}
                () = commands => {}
            }
            self.before_close.await;
        };
        let second_signal = async {
            signals.recv().await;
            draining_since = Instant::now();
            print_line(&format!("Draining {} (Ctrl-C again ends at once)", connections(endpoint.connection_count())));
            let _ = stop.send(());
            signals.recv().await;
        };
        let served = bennu::serve(self.listener, router, endpoint).with_graceful_shutdown(shutdown).into_future();
        let drained = tokio::select! {
            drained = served => drained.map_err(ServeError::Serving)?,
            () = second_signal => return Err(ServeError::Interrupted { connections: endpoint.connection_count() }),
        };
        print_line(&report(drained, draining_since));
        Ok(())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("app", &self.app).field("address", &self.address).finish_non_exhaustive()
    }
}

/// The address for a browser on this machine.
struct Url(SocketAddr);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip().is_loopback() || self.0.ip().is_unspecified() {
            true => write!(f, "http://localhost:{}", self.0.port()),
            false => write!(f, "http://{}", self.0),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_address_opens_in_a_browser_of_this_machine() {
        let url = |address: &str| Url(address.parse().unwrap()).to_string();
        assert_eq!(url("127.0.0.1:4000"), "http://localhost:4000");
        assert_eq!(url("0.0.0.0:4001"), "http://localhost:4001");
        assert_eq!(url("[::]:4001"), "http://localhost:4001");
        assert_eq!(url("192.0.2.1:4000"), "http://192.0.2.1:4000");
        assert_eq!(url("[2001:db8::1]:4000"), "http://[2001:db8::1]:4000");
    }

    #[test]
    fn the_report_counts_the_connections_that_were_left() {
        let report = |connections, left| report(Drained { connections, left }, Instant::now());
        assert_eq!(report(1, 0), "Drained 1 connection in 0.00 s");
        assert_eq!(report(3, 2), "Drained 3 connections in 0.00 s, and gave up on 2 of them");
    }
}
