//! The parts that the tests share: a server on a free port, sockets and channels, and a raw client that masks and
//! parses frames itself, so that it can also violate the protocol.

// Each test binary uses its own part.
#![allow(dead_code, unreachable_pub)]

pub mod channel;
pub mod child;
pub mod client;
pub mod longpoll;
pub mod watch;

use axum::Router;
use bennu::token::Secret;
use bennu::{Drain, Drained, Endpoint};
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The longest time for an event that should happen immediately: debug builds on a busy machine are slow.
pub const SOON: Duration = Duration::from_secs(30);

pub fn endpoint() -> Endpoint {
    Endpoint::new(Secret::new("a secret of at least twenty bytes for tests").expect("long enough"))
}

/// Waits for a future for at most [`SOON`]; `event` names it in the panic.
pub async fn soon<F: Future>(event: &str, future: F) -> F::Output {
    match tokio::time::timeout(SOON, future).await {
        Ok(output) => output,
        Err(_) => panic!("{event} did not happen within {SOON:?}"),
    }
}

/// Polls a condition that has no notification until it holds; `condition` names it in the panic.
pub async fn until(condition: &str, holds: impl FnMut() -> bool) {
    until_within(SOON, condition, holds).await;
}

pub async fn until_within(limit: Duration, condition: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + limit;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{condition} did not hold within {limit:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A drain without pauses.
pub fn quick_drain() -> Drain {
    Drain { batch_size: 10_000, batch_interval: Duration::from_millis(1), deadline: Duration::from_secs(10) }
}

/// Listens on a free port. The backlog of `TcpListener::bind` is 128 connections; some tests open more at once, and the
/// kernel delays a connection over the backlog by a second.
pub fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    socket.listen(4096).expect("a listener")
}

/// Listens as [`listen`] does, with a small send buffer for each connection.
pub fn listen_narrow(send_buffer: u32) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(send_buffer).expect("a TCP option");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    socket.listen(128).expect("a listener")
}

/// A running server.
pub struct Server {
    pub addr: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<Drained>>,
}

impl Server {
    pub async fn start(endpoint: &Endpoint, app: Router) -> Self {
        Server::start_with(endpoint, app, quick_drain()).await
    }

    pub async fn start_with(endpoint: &Endpoint, app: Router, drain: Drain) -> Self {
        Server::start_on(listen(), endpoint, app, drain)
    }

    pub fn start_on(listener: TcpListener, endpoint: &Endpoint, app: Router, drain: Drain) -> Self {
        let addr = listener.local_addr().expect("bound");
        let (shutdown, signal) = oneshot::channel::<()>();
        let serving = bennu::serve(listener, app, endpoint).drain(drain);
        let task = tokio::spawn(serving.with_graceful_shutdown(async { _ = signal.await }).into_future());
        Server { addr, shutdown: Some(shutdown), task }
    }

    pub fn shut_down(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
    }

    pub async fn drained(mut self) -> Drained {
        self.shut_down();
        soon("the drain", self.task).await.expect("serving does not panic").expect("it drains")
    }
}
