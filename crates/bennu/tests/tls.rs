//! WebSockets over TLS by rustls: the behaviour without TLS, and the behaviour that TLS adds.
#![cfg(feature = "tls")]

mod support;

use bennu::Drained;
use bennu::prelude::*;
use bennu_websocket::{Opcode, encode};
use futures::{SinkExt, StreamExt};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use support::channel::app;
use support::client::{Client, MASK, binary_push, binary_reply};
use support::{endpoint, quick_drain, soon, until};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

const PATH: &str = "/socket/websocket?vsn=2.0.0";

struct TlsServer {
    addr: SocketAddr,
    connector: TlsConnector,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<Drained>>,
}

impl TlsServer {
    /// Starts a server with a new certificate, which its clients trust.
    fn start(endpoint: &Endpoint) -> Self {
        TlsServer::start_on(support::listen(), endpoint)
    }

    fn start_on(listener: TcpListener, endpoint: &Endpoint) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let mut trusted = RootCertStore::empty();
        trusted.add(cert.der().clone()).expect("a certificate");
        let client = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
        let server = Arc::new(server.expect("a key that fits its certificate"));

        let addr = listener.local_addr().expect("bound");
        let (shutdown, signal) = oneshot::channel::<()>();
        let serving = bennu::serve(listener, app(endpoint), endpoint).tls(server).drain(quick_drain());
        let task = tokio::spawn(serving.with_graceful_shutdown(async { _ = signal.await }).into_future());
        TlsServer { addr, connector: TlsConnector::from(Arc::new(client)), shutdown, task }
    }

    async fn secure(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").expect("a name");
        soon("the TLS handshake", self.connector.connect(name, stream)).await.expect("a secure connection")
    }

    async fn connect(&self) -> Client<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.addr).await.expect("the server listens");
        let mut client = Client::over(self.secure(stream).await);
        client.upgrade(PATH, "").await;
        client
    }
}

#[tokio::test]
async fn over_tls_a_client_joins_pushes_and_receives_replies_and_broadcasts() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.joined("room:1").await;
    two.joined("room:1").await;
    one.send(json!(["1", "2", "room:1", "echo", { "a": 1 }])).await;
    assert_eq!(
        one.receive().await,
        json!(["1", "2", "room:1", "phx_reply", { "status": "ok", "response": { "a": 1 } }])
    );
    one.send(json!(["1", "3", "room:1", "say", { "b": 2 }])).await;
    for client in [&mut one, &mut two] {
        assert_eq!(client.receive().await, json!([null, null, "room:1", "said", { "b": 2 }]));
    }
    for n in 0..100 {
        endpoint.broadcast("room:1", "said", json!({ "n": n, "text": "x".repeat(n * 100) })).unwrap();
    }
    for client in [&mut one, &mut two] {
        for n in 0..100 {
            assert_eq!(client.receive().await[4]["n"], n);
        }
    }
}

#[tokio::test]
async fn over_tls_messages_of_a_megabyte_go_both_ways() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let mut client = server.connect().await;
    client.joined("room:1").await;
    let text = "é".repeat(1 << 19);
    client.send(json!(["1", "2", "room:1", "echo", { "text": text }])).await;
    assert_eq!(client.receive().await[4]["response"]["text"], text);
    let data: Vec<u8> = (0..1u32 << 20).map(|n| (n >> 3) as u8).collect();
    let push = binary_push("1", "3", "room:1", "echo", &data);
    client.send_raw(encode::masked_frame(Opcode::Binary, &push, MASK)).await;
    assert_eq!(binary_reply(&client.frame().await.payload), ("ok", &data[..]));
}

#[tokio::test]
async fn over_tls_both_sides_close_with_their_codes() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let mut client = server.connect().await;
    client.joined("room:1").await;
    client.send_raw(encode::masked_frame(Opcode::Close, &4001u16.to_be_bytes(), MASK)).await;
    assert_eq!(client.close_frame().await.0, Some(4001));
    assert_eq!(client.ended().await, 0);
    drop(client);
    until("the client has gone", || endpoint.connection_count() + endpoint.channel_count() == 0).await;

    let mut staying = server.connect().await;
    staying.joined("room:1").await;
    server.shutdown.send(()).unwrap();
    assert_eq!(staying.close_frame().await.0, Some(1012));
    staying.answer_close(1012).await;
    assert_eq!(soon("the drain", server.task).await.unwrap().unwrap(), Drained { connections: 1, left: 0 });
}

#[tokio::test]
async fn tungstenite_connects_over_wss() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let stream = server.secure(TcpStream::connect(server.addr).await.unwrap()).await;
    let url = format!("wss://localhost{PATH}");
    let (mut client, _) = soon("the handshake", tokio_tungstenite::client_async(url, stream)).await.unwrap();
    client.send(Message::text(json!(["1", "1", "room:1", "phx_join", {}]).to_string())).await.unwrap();
    let reply = soon("a reply", client.next()).await.unwrap().unwrap();
    let reply: serde_json::Value = serde_json::from_str(reply.to_text().unwrap()).unwrap();
    assert_eq!(reply[4]["status"], "ok");
    client.close(None).await.unwrap();
    assert_eq!(soon("the close", client.next()).await.unwrap().unwrap(), Message::Close(None));
    assert!(soon("the end", client.next()).await.is_none());
}

#[tokio::test]
async fn a_frame_that_arrives_with_the_handshake_is_answered_over_tls_too() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let mut client = Client::over(server.secure(TcpStream::connect(server.addr).await.unwrap()).await);
    let heartbeat = json!([null, "0", "phoenix", "heartbeat", {}]).to_string();
    let frame = encode::masked_frame(Opcode::Text, heartbeat.as_bytes(), MASK);
    client.send_raw([support::client::handshake(PATH, "").as_bytes(), &frame].concat()).await;
    assert_eq!(client.response().await.status, 101);
    assert_eq!(client.receive().await[1], "0");
}

/// TLS buffers records when the stream is full; they must be sent once the stream accepts bytes again, even if no
/// further message follows.
#[tokio::test]
async fn a_slow_reader_over_tls_receives_the_end_of_a_message_without_a_further_message() {
    let endpoint = endpoint();
    let server = TlsServer::start_on(support::listen_narrow(8192), &endpoint);
    let mut client = Client::over(server.secure(Client::narrow(server.addr, 8192).await.stream).await);
    client.upgrade(PATH, "").await;
    client.joined("room:1").await;
    for size in [200_000, 1_000_000, 50_000] {
        endpoint.broadcast("room:1", "said", json!({ "text": "x".repeat(size) })).unwrap();
        assert_eq!(client.receive().await[4]["text"].as_str().map(str::len), Some(size));
    }
}

#[tokio::test]
async fn a_client_without_tls_is_refused_and_a_silent_client_is_disconnected_after_ten_seconds() {
    let endpoint = endpoint();
    let server = TlsServer::start(&endpoint);
    let mut silent = Client::tcp(server.addr).await;
    let mut plain = Client::tcp(server.addr).await;
    plain.send_raw(support::client::handshake(PATH, "")).await;
    plain.ended().await;
    server.connect().await.joined("room:1").await;
    assert_eq!(silent.ended().await, 0);
}
