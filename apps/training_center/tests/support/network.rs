//! The network between a phone and the server. It can be cut: Chromium keeps the WebSockets of a page that goes offline,
//! and a real phone does not.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A network to one server. Dropping it ends new connections.
pub(crate) struct Network {
    port: u16,
    is_up: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Network {
    /// Opens a network to a server.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_up, state) = watch::channel(true);
        Network { port, is_up, accepting: tokio::spawn(accept(listener, server, state)) }
    }

    /// Returns the address of a path for a browser in this network.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Closes all connections, and further ones as they come.
    pub(crate) fn cut(&self) {
        self.is_up.send_replace(false);
    }

    /// Lets new connections through again.
    pub(crate) fn repair(&self) {
        self.is_up.send_replace(true);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, state: watch::Receiver<bool>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut state = state.clone();
        tokio::spawn(async move {
            let passing = async {
                let Ok(mut server) = TcpStream::connect(server).await else { return };
                // An error of either side ends both.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            };
            tokio::select! {
                biased;
                _ = state.wait_for(|is_up| !is_up) => {}
                () = passing => {}
            }
        });
    }
}
