//! A node of the store in the test's own process, on a port of its own, and WebSocket clients of it.

use super::DEADLINE;
use app_service::password::Password;
use app_service::supervisor::Supervisor;
use bennu::Endpoint;
use bennu::token::Secret;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sneakers_23::catalog::ProductId;
use sneakers_23::inventory::shelf;
use sneakers_23::store::Store;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A store whose products are released, served until the test's runtime ends. Its database is in memory.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    /// The owner's password.
    pub(crate) password: String,
    _supervisor: Supervisor,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
        for product in [1, 2] {
            shelf::release(&database, ProductId(product)).await.unwrap();
        }
        let endpoint = Endpoint::new(Secret::new("a secret that only the tests of the store have").unwrap());
        let (owner, password) = Password::random().unwrap();
        let store = Store::open(database, endpoint.clone(), owner).await.unwrap();
        let supervisor = Supervisor::new();
        store.start(&supervisor);
        let app = sneakers_23::app(&store, &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(bennu::serve(listener, app, &endpoint).into_future());
        Server { store, address, password, _supervisor: supervisor }
    }
}

/// A WebSocket client.
pub(crate) struct WebSocket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_ref: u64,
}

impl WebSocket {
    /// Connects to a socket's path with parameters, as `/product_socket?_csrf_token=…`, and these headers.
    ///
    /// # Errors
    /// The status of a refused connection.
    pub(crate) async fn connect(
        address: SocketAddr,
        socket: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let (path, params) = socket.split_once('?').unwrap_or((socket, ""));
        let url = format!("ws://{address}{path}/websocket?vsn=2.0.0&{params}");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match timeout(DEADLINE, connect_async(request)).await.expect("the store responds before the deadline") {
            Ok((stream, _)) => Ok(WebSocket { stream, next_ref: 1 }),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a message, and returns its ref.
    pub(crate) async fn send(&mut self, join_ref: u64, topic: &str, event: &str, payload: &Value) -> u64 {
        let reference = self.next_ref;
        self.next_ref += 1;
        let join_ref = if event == "phx_join" { reference } else { join_ref };
        let message = json!([join_ref.to_string(), reference.to_string(), topic, event, payload]);
        self.send_text(&message.to_string()).await.expect("the connection is open");
        reference
    }

    /// # Errors
    /// The error of a connection that the server has closed.
    pub(crate) async fn send_text(&mut self, text: &str) -> Result<(), tungstenite::Error> {
        timeout(DEADLINE, self.stream.send(Message::text(text))).await.expect("the server reads")
    }

    /// Joins a topic. Returns the ref of the join, and the status and response of its reply.
    pub(crate) async fn join(&mut self, topic: &str, params: Value) -> (u64, String, Value) {
        let reference = self.send(0, topic, "phx_join", &params).await;
        let (status, response) = self.reply(reference).await;
        (reference, status, response)
    }

    /// Sends a message and returns the status and the response of its reply.
    pub(crate) async fn request(&mut self, join_ref: u64, topic: &str, event: &str, payload: Value) -> (String, Value) {
        let reference = self.send(join_ref, topic, event, &payload).await;
        self.reply(reference).await
    }

    /// Skips messages until the reply to a message.
    pub(crate) async fn reply(&mut self, reference: u64) -> (String, Value) {
        loop {
            let message = self.receive().await.unwrap_or_else(|closed| panic!("{closed} instead of a reply"));
            if message[1] == json!(reference.to_string()) && message[3] == "phx_reply" {
                return (message[4]["status"].as_str().unwrap().to_owned(), message[4]["response"].clone());
            }
        }
    }

    /// Returns the next message.
    ///
    /// # Errors
    /// The text of a close, or of a connection that ended.
    pub(crate) async fn receive(&mut self) -> Result<Value, String> {
        loop {
            match timeout(DEADLINE, self.stream.next()).await.expect("a message arrives before the deadline") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(format!("close {frame:?}")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the end of the connection".to_owned()),
            }
        }
    }
}
