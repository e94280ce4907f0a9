//! A wire between a node and its database that can be cut silently: no byte passes, and no connection is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A wire. Dropping it stops new connections.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// The number of cuts and repairs: a connection passes bytes while it is the even number of its beginning.
    state: watch::Sender<u64>,
    /// The messages of either direction until the next cut; 0 without one.
    until_cut: AtomicUsize,
}

impl Wire {
    /// Lays a wire to the port of a server on this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, port, shared.clone()));
        Wire { address, shared, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts the wire instead of passing the message of this number, from now on and in either direction. The connections
    /// of that moment stay silent for ever.
    pub(crate) async fn cut_at(&self, message: usize) {
        self.shared.until_cut.store(message, Ordering::SeqCst);
        self.shared.state.subscribe().wait_for(|state| state % 2 == 1).await.unwrap();
    }

    /// Repairs the wire, for new connections.
    pub(crate) fn repair(&self) {
        self.shared.state.send_modify(|state| *state += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Counts a message. Returns whether it is the one at which the wire is cut.
    fn is_cut_now(&self) -> bool {
        let counted = self.until_cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |until| until.checked_sub(1));
        let is_cut = counted == Ok(1);
        if is_cut {
            self.state.send_modify(|state| *state += 1);
        }
        is_cut
    }
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A connection that begins during a cut waits for the repair.
            let begun = *shared.state.subscribe().wait_for(|state| state % 2 == 0).await.unwrap();
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::join!(pass(from_client, to_server, &shared, begun), pass(from_server, to_client, &shared, begun));
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, begun: u64) {
    let (mut states, mut buffer) = (shared.state.subscribe(), vec![0; 64 * 1024]);
    loop {
        let read = tokio::select! {
            biased;
            () = async { drop(states.wait_for(|state| *state != begun).await) } => None,
            read = from.read(&mut buffer) => Some(read),
        };
        match read {
            Some(Ok(0) | Err(_)) => return,
            Some(Ok(count)) if !shared.is_cut_now() => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            // Both ends stay open.
            _ => return std::future::pending().await,
        }
    }
}
