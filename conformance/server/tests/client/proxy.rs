//! A proxy that does not forward WebSocket correctly; the test selects the fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};

/// The treatment of a WebSocket handshake.
#[derive(Clone, Copy)]
pub(crate) enum Websocket {
    /// The proxy responds with this status.
    Status(u16),
    /// The proxy never responds.
    Silence,
    /// The proxy forwards the handshake and drops all later messages of the server.
    Swallowed,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// The number of WebSocket handshakes.
    pub(crate) handshakes: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(server: u16, websocket: Websocket) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handshakes);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server, websocket, Arc::clone(&counter)));
            }
        });
        Proxy { port, handshakes, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, server: u16, websocket: Websocket, handshakes: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if !matches!(client.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).await.expect("the server listens");
    let is_websocket = head.windows(b"/websocket?".len()).any(|window| window == b"/websocket?");
    handshakes.fetch_add(usize::from(is_websocket), Ordering::Relaxed);
    match websocket {
        Websocket::Status(status) if is_websocket => {
            let response = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = client.write_all(response.as_bytes()).await;
        }
        Websocket::Silence if is_websocket => {
            let _ = tokio::io::copy(&mut client, &mut sink()).await;
        }
        Websocket::Swallowed if is_websocket => {
            upstream.write_all(&head).await.expect("the server reads");
            let mut response = vec![0; 4096];
            let count = upstream.read(&mut response).await.expect("the server responds");
            client.write_all(&response[..count]).await.expect("the client reads");
            let (mut from_client, _to_client) = client.split();
            let (mut from_server, mut to_server) = upstream.split();
            let swallow = async { tokio::io::copy(&mut from_server, &mut sink()).await };
            let _ = tokio::join!(tokio::io::copy(&mut from_client, &mut to_server), swallow);
        }
        _ => {
            upstream.write_all(&head).await.expect("the server reads");
            let _ = copy_bidirectional(&mut client, &mut upstream).await;
        }
    }
}
