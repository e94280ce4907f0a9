//! The fallback to long polling, only where WebSocket does not work.

use crate::proxy::{Proxy, Websocket};
use crate::server::Server;
use crate::{connection, join, outage, request, soon};
use bennu_client::{Client, ClientBuilder, ConnectError, ConnectionState, Transport, TransportKind};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn through(port: u16, mount: &str) -> ClientBuilder {
    let transport = Transport::Fallback { after: Duration::from_millis(500) };
    Client::builder(format!("ws://127.0.0.1:{port}/{mount}")).transport(transport)
}

fn carrier(client: &Client) -> Option<TransportKind> {
    match client.state() {
        ConnectionState::Connected { over, .. } => Some(over),
        _ => None,
    }
}

#[tokio::test]
async fn a_working_websocket_is_kept_when_the_server_is_unreachable_for_a_while() {
    let server = Server::start().await;
    let client = through(server.port, "socket").connect().await.unwrap();
    assert_eq!(carrier(&client), Some(TransportKind::WebSocket));
    let room = join(&client, "bench:a").await;
    let port = server.kill().await;
    outage(&client).await;
    let _server = Server::start_on(port).await;
    connection(&client, 2).await;
    assert_eq!(carrier(&client), Some(TransportKind::WebSocket));
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

#[tokio::test]
async fn long_poll_replaces_a_websocket_that_a_proxy_blocks_and_stays() {
    let server = Server::start().await;
    for websocket in [Websocket::Status(400), Websocket::Status(502), Websocket::Silence, Websocket::Swallowed] {
        let proxy = Proxy::start(server.port, websocket).await;
        let client = soon("the fallback", through(proxy.port, "socket").param("id", "1").connect()).await.unwrap();
        assert_eq!(carrier(&client), Some(TransportKind::LongPoll));
        let room = join(&client, "bench:a").await;
        assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
        // The next attempt does not try WebSocket again.
        server.post("/disconnect?id=user_socket:1", b"").await;
        connection(&client, 2).await;
        assert_eq!(carrier(&client), Some(TransportKind::LongPoll));
        assert_eq!(proxy.handshakes.load(Ordering::Relaxed), 1);
        assert_eq!(request(&room, "echo", json!({ "n": 2 })).await, json!({ "n": 2 }));
    }
}

#[tokio::test]
async fn a_refusal_of_the_servers_socket_is_final() {
    let server = Server::start().await;
    let refused = through(server.port, "auth_socket").connect().await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { status: 403, .. }), "{refused}");
    let refused = through(server.port, "errconn_socket").connect().await.unwrap_err();
    assert!(
        matches!(&refused, ConnectError::Refused { status: 429, body } if body == "Too many requests"),
        "{refused}"
    );
}
