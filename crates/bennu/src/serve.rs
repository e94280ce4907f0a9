//! Serving an axum application with sockets in it: accepting, the bounds of a handshake, and the graceful end.
//!
//! `axum::serve` works too. This adds what long-lived connections need: `TCP_NODELAY`, a bound on half-open handshakes
//! in number and in time, TLS, and a drain that sends every client elsewhere.

use crate::half_open::{HalfOpen, Seen};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use bennu_channels::{Drain, Drained, Endpoint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::any::Any;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

/// How long a client may take to send its request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that a request's line and headers may have together, in bytes: room for a URI with a token and for a jar of
/// cookies. hyper's own bound is 400 KB, which thousands of clients that never finish their headers could all fill.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Serves an application: HTTP/1.1, on any listener of axum's, such as TCP or a Unix socket.
///
/// ```no_run
/// # async fn run(app: axum::Router, endpoint: bennu::Endpoint) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = bennu::bind(([127, 0, 0, 1], 4000))?;
/// bennu::serve(listener, app, &endpoint).with_graceful_shutdown(bennu::shutdown_signal()).await?;
/// # Ok(())
/// # }
/// ```
///
/// When the shutdown signal comes, the server stops accepting and drains: clients get close code 1012 at a pace, ordinary
/// requests that are under way are answered, and this node leaves the cluster.
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

/// A server that serves when it is awaited: see [`serve`].
///
/// Awaiting it returns how the drain went, once the shutdown signal has come. Errors of single connections end those; a
/// process that is out of file descriptors waits for some to come free.
///
/// Cancellation: dropping the future stops accepting; connections that are up go on.
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
    /// Serves until `signal` completes, then drains. Default: it serves for ever.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// How to drain. Default: [`Drain::default`].
    pub fn drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// Serves over TLS (feature `tls`). The configuration holds the certificate; see rustls for how to load one.
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
        let quitting = watch::Sender::new(false);
        let endpoint = self.endpoint.clone();
        let mut measuring = std::pin::pin!(endpoint.measure_queues());
        loop {
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut self.shutdown => break,
                () = &mut measuring => unreachable!("it measures until it is dropped"),
            };
            if let Some(tcp) = (&stream as &dyn Any).downcast_ref::<TcpStream>() {
                // Small messages must not wait for the acknowledgement of earlier ones.
                let _ = tcp.set_nodelay(true);
            }
            let peer = (&peer as &dyn Any).downcast_ref().copied();
            let connection = Incomer { app: self.app.clone(), peer, quitting: quitting.clone() };
            #[cfg(feature = "tls")]
            if let Some(config) = &self.tls {
                let secured = crate::tls::accept(config.clone(), stream);
                half_open.spawn(move |seen| async move {
                    match secured.await {
                        Ok(stream) => connection.converse(stream, seen).await,
                        Err(error) => tracing::debug!(?peer, %error, "no secure connection"),
                    }
                });
                continue;
            }
            half_open.spawn(move |seen| connection.converse(stream, seen));
        }
        drop(self.listener);
        let deadline = Instant::now() + self.drain.deadline;
        let drained = tokio::select! {
            drained = self.drain.run(&endpoint) => drained,
            () = measuring => unreachable!("it measures until it is dropped"),
        };
        // Responses that are under way, the last ones of clients that long poll among them; some come from other nodes.
        endpoint.start_leaving();
        quitting.send_replace(true);
        if timeout_at(deadline, quitting.closed()).await.is_err() {
            let deadline = self.drain.deadline;
            tracing::warn!(?deadline, "HTTP requests are still unanswered at the deadline of the drain");
        }
        endpoint.leave().await;
        Ok(drained)
    }
}

/// A connection that was accepted.
struct Incomer {
    app: Router,
    /// Where it comes from, if by TCP.
    peer: Option<SocketAddr>,
    quitting: watch::Sender<bool>,
}

impl Incomer {
    /// HTTP/1.1 until the stream ends or is upgraded, or until `quitting` makes the request under way the last.
    async fn converse<I>(self, stream: I, seen: Seen)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Incomer { app, peer, quitting } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            seen.request();
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            // A router is always ready.
            app.clone().call(request)
        });
        let mut quit = quitting.subscribe();
        drop(quitting);
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut served = std::pin::pin!(served);
        let told = async {
            if quit.wait_for(|quitting| *quitting).await.is_err() {
                // Nobody serves any more, and nobody waits for this connection.
                pending().await
            }
        };
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = told => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(?peer, %error, "connection ended");
        }
    }
}

/// Completes when this process is asked to stop: at Ctrl-C, and on Unix at SIGTERM, which service managers send. For
/// [`Serve::with_graceful_shutdown`].
///
/// A signal that cannot be received, because the system refuses a handler, never comes; the log says so.
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
