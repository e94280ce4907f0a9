//! Serving an axum application with sockets in it: accepting, the bounds of a handshake, and the graceful end.
//!
//! `axum::serve` works too. This adds what long-lived connections need: `TCP_NODELAY`, a bound on half-open handshakes
//! in number and in time, and a drain that tells every client to go elsewhere.

use crate::half_open::{HalfOpen, Seen};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use bennu_channels::{Drain, Drained, Endpoint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

/// How long a client may take to send its request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that a request's line and headers may have together, in bytes: room for a URI with a token and for a jar of
/// cookies. hyper's own bound is 400 KB, which thousands of clients that never finish their headers could all fill.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Connections that the kernel keeps until they are accepted. The usual 128 is a second's worth when a crowd comes back
/// after a restart: the others would try again after 1, 3 and 7 s.
const BACKLOG: u32 = 4096;

/// Listens at an address, with room for a crowd that comes back all at once.
///
/// # Errors
/// As the system says: most often the port is in use, or below 1024.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server must not wait for its old connections' last packets.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` completes, then drains: clients get close code 1012 at a pace, ordinary requests that are under
/// way are answered, and this node leaves the cluster.
///
/// Returns how the drain went. Errors of single connections end those; a process out of file descriptors waits.
///
/// Cancellation: dropping the future stops accepting; connections that are up go on.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    endpoint: &Endpoint,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    serve_with(listener, app, endpoint, drain, shutdown, |stream| async { Ok(stream) }).await
}

/// As [`serve`], with what `secure` makes of each accepted stream.
pub(crate) async fn serve_with<I, F>(
    listener: TcpListener,
    app: Router,
    endpoint: &Endpoint,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
    secure: impl Fn(TcpStream) -> F,
) -> Drained
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<I>> + Send + 'static,
{
    let half_open = HalfOpen::default();
    let quitting = watch::Sender::new(false);
    let mut shutdown = std::pin::pin!(shutdown);
    let mut measuring = std::pin::pin!(endpoint.measure_queues());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
            () = &mut measuring => unreachable!("it measures until it is dropped"),
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small messages must not wait for the acknowledgement of earlier ones.
                let _ = stream.set_nodelay(true);
                let secured = secure(stream);
                let app = app.clone();
                let quitting = quitting.clone();
                half_open.spawn(move |seen| async move {
                    match secured.await {
                        Ok(stream) => converse(stream, peer, app, seen, quitting).await,
                        Err(error) => tracing::debug!(%peer, %error, "no secure connection"),
                    }
                });
            }
            Err(error) => wait_after(&error).await,
        }
    }
    drop(listener);
    let deadline = Instant::now() + drain.deadline;
    let drained = tokio::select! {
        drained = drain.run(endpoint) => drained,
        () = measuring => unreachable!("it measures until it is dropped"),
    };
    // Responses that are under way, the last ones of clients that long poll among them; some come from other nodes.
    endpoint.start_leaving();
    quitting.send_replace(true);
    if timeout_at(deadline, quitting.closed()).await.is_err() {
        tracing::warn!(deadline = ?drain.deadline, "HTTP requests are still unanswered at the deadline of the drain");
    }
    endpoint.leave().await;
    drained
}

/// HTTP/1.1 on one stream, until it ends or is upgraded, or until `quitting` says that the request under way is the last.
async fn converse<I>(stream: I, peer: SocketAddr, app: Router, seen: Seen, quitting: watch::Sender<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        seen.request();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
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
            std::future::pending().await
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
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// A client that gave up is nothing; a process without file descriptors must wait for some to come free.
async fn wait_after(error: &io::Error) {
    let clients = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
    if !clients.contains(&error.kind()) {
        tracing::error!(%error, "cannot accept connections, trying again in 1 s");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
