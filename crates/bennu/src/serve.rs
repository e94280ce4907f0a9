//! The server: accepts connections, serves HTTP/1.1, and drains at shutdown.
//!
//! An application calls [`bind`], [`serve`] and [`shutdown_signal`] from its `main`. `axum::serve` works too; this
//! server adds `TCP_NODELAY`, a limit on the number and the duration of half-open connections, TLS, and a drain that
//! sends every client to another node. Parts:
//!
//! - [`bind`](mod@bind): the listener.
//! - [`half_open`]: the connections that have not sent a request yet.
//! - [`connection`]: one accepted connection, with its TLS handshake.

pub(crate) mod bind;
mod connection;
mod half_open;

pub use bind::bind;

use axum::Router;
use axum::serve::Listener;
use bennu_channels::{Drain, Drained, Endpoint};
use connection::HttpConnection;
use half_open::HalfOpen;
use std::any::Any;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::pin::Pin;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Serves an application over HTTP/1.1, on any listener of axum, such as TCP or a Unix socket.
///
/// ```no_run
/// # async fn run(app: axum::Router, endpoint: bennu::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
/// bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
///
/// When the shutdown signal completes, the server stops accepting and drains: it closes clients with code 1012 at the
/// pace of [`Drain`], finishes ordinary requests that are under way, and leaves the cluster.
pub fn serve<L: Listener>(listener: L, app: Router, endpoint: &Endpoint) -> Serve<L> {
    Serve {
        listener,
        app,
        endpoint: endpoint.clone(),
        drain: Drain::default(),
        shutdown: Box::pin(pending()),
        #[cfg(feature = "tls")]
        tls: None,
    }
}

/// A server, returned by [`serve`]; it serves when it is awaited.
///
/// Awaiting it returns the result of the drain, after the shutdown signal. An error of one connection ends only that
/// connection. A process without free file descriptors retries after a pause.
///
/// Cancellation: dropping the future stops accepting; established connections continue.
///
/// ```no_run
/// # async fn run(app: axum::Router, endpoint: bennu::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
/// use bennu::Drain;
/// use std::time::Duration;
///
/// let listener = bennu::bind(([0, 0, 0, 0], 4000))?;
/// let drained = bennu::serve(listener, app, &endpoint)
///     .with_graceful_shutdown(bennu::shutdown_signal())
///     .drain(Drain { deadline: Duration::from_secs(20), ..Drain::default() })
///     .await?;
/// println!("closed {} connections, left {}", drained.connections, drained.left);
/// # Ok(())
/// # }
/// ```
#[must_use = "a server serves when it is awaited"]
pub struct Serve<L> {
    listener: L,
    app: Router,
    endpoint: Endpoint,
    drain: Drain,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    #[cfg(feature = "tls")]
    tls: Option<std::sync::Arc<rustls::ServerConfig>>,
}

impl<L> Serve<L> {
    /// Serves until `signal` completes, then drains. Default: the server never stops.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// Sets the pace and the deadline of the drain. Default [`Drain::default`].
    pub fn drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// Serves over TLS (feature `tls`). The configuration contains the certificate and its key.
    ///
    /// ```no_run
    /// # async fn run(app: axum::Router, endpoint: bennu::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
    /// use rustls::pki_types::pem::PemObject;
    /// use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    ///
    /// let certificates = CertificateDer::pem_file_iter("certificate.pem")?.collect::<Result<Vec<_>, _>>()?;
    /// let key = PrivateKeyDer::from_pem_file("key.pem")?;
    /// let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    ///
    /// let listener = bennu::bind(([0, 0, 0, 0], 4443))?;
    /// bennu::serve(listener, app, &endpoint).tls(config).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<std::sync::Arc<rustls::ServerConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }
}

impl<L: Listener> IntoFuture for Serve<L> {
    type Output = io::Result<Drained>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<Drained>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L: Listener> Serve<L> {
    async fn run(mut self) -> io::Result<Drained> {
        let half_open = HalfOpen::default();
        let shutdown = watch::Sender::new(false);
        let endpoint = self.endpoint.clone();
        let mut measuring = std::pin::pin!(endpoint.measure_queues());
        loop {
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut self.shutdown => break,
                () = &mut measuring => unreachable!("measuring ends only when it is dropped"),
            };
            if let Some(tcp) = (&stream as &dyn Any).downcast_ref::<TcpStream>() {
                // A small message must not wait for the acknowledgement of earlier ones.
                let _ = tcp.set_nodelay(true);
            }
            let peer = (&peer as &dyn Any).downcast_ref().copied();
            let connection = HttpConnection { app: self.app.clone(), peer, shutdown: shutdown.clone() };
            #[cfg(feature = "tls")]
            if let Some(config) = self.tls.clone() {
                half_open.spawn(move |handshake| connection.serve_tls(config, stream, handshake));
                continue;
            }
            half_open.spawn(move |handshake| connection.serve(stream, handshake));
        }
        drop(self.listener);
        let deadline = Instant::now() + self.drain.deadline;
        let drained = tokio::select! {
            drained = self.drain.run(&endpoint) => drained,
            () = measuring => unreachable!("measuring ends only when it is dropped"),
        };
        // Requests that are under way still receive their responses. Among these are the last polls of long-poll
        // clients; some of their responses come from other nodes.
        endpoint.start_leaving();
        shutdown.send_replace(true);
        if timeout_at(deadline, shutdown.closed()).await.is_err() {
            let deadline = self.drain.deadline;
            tracing::warn!(?deadline, "HTTP requests are still unanswered at the deadline of the drain");
        }
        endpoint.leave().await;
        Ok(drained)
    }
}

/// Completes when the process receives a signal to stop: Ctrl-C, and on Unix SIGTERM, which service managers send. For
/// [`Serve::with_graceful_shutdown`].
///
/// If the system refuses the handler of a signal, this function logs an error and does not wait for that signal.
///
/// ```no_run
/// # async fn run(app: axum::Router, endpoint: bennu::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
/// bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
pub async fn shutdown_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "could not listen for Ctrl-C");
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "could not listen for SIGTERM");
            pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    pending().await
}
