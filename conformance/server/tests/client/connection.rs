//! Authentication, refusals, and the lifetime of a connection.

use crate::server::Server;
use crate::{SOON, builder, connect, connection, join, outage, over_both, request, soon};
use bennu_client::{ConnectError, ConnectionError, ConnectionState, SendError, Transport, TransportKind};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

over_both! {
    a_token_in_the_params_authenticates_and_decides_which_topics_join
    an_auth_token_travels_outside_of_the_url
    the_error_of_a_refusal_has_the_servers_status_and_body
    an_expired_token_is_refused_and_the_function_returns_a_fresh_one_for_the_next_attempt
    a_function_that_fails_is_the_attempts_error
    disconnecting_an_id_closes_its_connections_only_and_the_client_reconnects
    a_client_that_disconnects_does_not_reconnect
}

async fn a_token_in_the_params_authenticates_and_decides_which_topics_join(over: Transport) {
    let server = Server::start().await;
    let token = server.get("/token?id=7").await;
    let client = builder(&server, "auth_socket", over).param("token", token).connect().await.unwrap();
    client.join("user:7", json!({})).await.unwrap();
    assert!(client.join("user:8", json!({})).await.unwrap_err().to_string().contains("unauthorized"));
}

async fn an_auth_token_travels_outside_of_the_url(over: Transport) {
    let server = Server::start().await;
    let token = server.get("/token?id=7").await;
    let client = builder(&server, "auth_token_socket", over).auth_token(token.clone()).connect().await.unwrap();
    client.join("user:7", json!({})).await.unwrap();
    // The function is called for every attempt.
    let client = builder(&server, "auth_token_socket", over).auth_token_with(move || std::future::ready(token.clone()));
    client.connect().await.unwrap().join("user:7", json!({})).await.unwrap();
    let refused = builder(&server, "auth_token_socket", over).auth_token("no token").connect().await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { status: 403, .. }), "{refused}");
}

async fn the_error_of_a_refusal_has_the_servers_status_and_body(over: Transport) {
    let server = Server::start().await;
    let refused = builder(&server, "errconn_socket", over).connect().await.unwrap_err();
    match (over, &refused) {
        (Transport::WebSocket, ConnectError::Refused { status: 429, body }) => assert_eq!(body, "Too many requests"),
        // The error handler is the WebSocket's.
        (_, ConnectError::Refused { status: 403, .. }) => {}
        _ => panic!("{refused:?}"),
    }
    assert!(refused.to_string().starts_with("the server refused the connection with status 4"), "{refused}");
    let nowhere = builder(&server, "nowhere", over).connect().await.unwrap_err();
    assert!(matches!(nowhere, ConnectError::Refused { status: 404, .. }), "{nowhere}");
    let crashed = builder(&server, "crashconn_socket", over).connect().await.unwrap_err();
    assert!(matches!(crashed, ConnectError::Refused { status: 500, .. }), "{crashed}");
    let port = server.kill().await;
    let unreachable = bennu_client::Client::builder(format!("ws://127.0.0.1:{port}/socket")).transport(over);
    let unreachable = unreachable.connect().await.unwrap_err();
    assert!(
        matches!(&unreachable, ConnectError::Io { address, .. } if *address == format!("127.0.0.1:{port}")),
        "{unreachable}"
    );
}

async fn an_expired_token_is_refused_and_the_function_returns_a_fresh_one_for_the_next_attempt(over: Transport) {
    let server = Server::start().await;
    let [old, fresh] = [server.get("/token_old?id=1").await, server.get("/token?id=1").await];
    let refused = builder(&server, "auth_socket", over).param("token", old.clone()).connect().await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { status: 403, .. }), "{refused}");

    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let client = builder(&server, "auth_socket", over)
        .params_with(move || {
            let token = if counter.fetch_add(1, Ordering::Relaxed) < 2 { old.clone() } else { fresh.clone() };
            async move { [("token", token)] }
        })
        .start()
        .unwrap();
    connection(&client, 1).await;
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    join(&client, "user:1").await;
}

async fn a_function_that_fails_is_the_attempts_error(over: Transport) {
    let server = Server::start().await;
    let client = builder(&server, "auth_socket", over)
        .params_with(async || Err::<[(&str, &str); 0], _>("the token service is closed"));
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Params(_)), "{error}");
    assert!(error.to_string().contains("the token service is closed"), "{error}");
}

async fn disconnecting_an_id_closes_its_connections_only_and_the_client_reconnects(over: Transport) {
    let server = Server::start().await;
    let [mine, other] = [1, 2].map(|id| builder(&server, "socket", over).param("id", id.to_string()));
    let (mine, other) = (mine.connect().await.unwrap(), other.connect().await.unwrap());
    let room = join(&mine, "bench:a").await;
    server.post("/disconnect?id=user_socket:1", b"").await;
    match (over, outage(&mine).await) {
        (Transport::WebSocket, ConnectionError::Closed { code: Some(1001), .. }) | (Transport::LongPoll, _) => {}
        (_, lost) => panic!("{lost}"),
    }
    connection(&mine, 2).await;
    assert_eq!(request(&room, "echo", json!({ "back": true })).await, json!({ "back": true }));
    assert!(matches!(other.state(), ConnectionState::Connected { count: 1, .. }));
}

async fn a_client_that_disconnects_does_not_reconnect(over: Transport) {
    let server = Server::start().await;
    let client = connect(&server, over).await;
    let expected = if over == Transport::LongPoll { TransportKind::LongPoll } else { TransportKind::WebSocket };
    assert!(matches!(client.state(), ConnectionState::Connected { over, count: 1 } if over == expected));
    let mut room = join(&client, "bench:a").await;
    soon("the end", client.disconnect()).await;
    assert!(matches!(client.state(), ConnectionState::Closed));
    assert_eq!(room.next().await, None);
    assert!(matches!(room.push("echo", json!({})).await, Err(SendError::Closed { .. })));
    assert!(client.join("bench:b", json!({})).await.is_err());
    assert!(matches!(client.connected().await, Err(ConnectError::Disconnected)));
}

#[tokio::test]
async fn heartbeats_keep_a_connection_past_the_servers_timeout_of_one_second() {
    let server = Server::start().await;
    let active = builder(&server, "short_socket", Transport::WebSocket).heartbeat(Duration::from_millis(300));
    let active = active.connect().await.unwrap();
    let silent = builder(&server, "short_socket", Transport::WebSocket).connect().await.unwrap();
    let room = join(&silent, "bench:a").await;
    let lost = outage(&silent).await;
    assert!(matches!(lost, ConnectionError::Closed { code: Some(3008), .. }), "{lost}");
    connection(&silent, 2).await;
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
    assert!(matches!(active.state(), ConnectionState::Connected { count: 1, .. }));
}

#[tokio::test]
async fn a_message_past_the_servers_limit_ends_the_connection_and_the_client_reconnects() {
    let server = Server::start().await;
    let client = builder(&server, "small_socket", Transport::WebSocket).connect().await.unwrap();
    let room = join(&client, "bench:a").await;
    let error = room.push("echo", json!({ "d": "x".repeat(2000) })).await.unwrap_err();
    assert_eq!(error, SendError::ConnectionLost { event: "echo".to_owned() });
    connection(&client, 2).await;
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

#[tokio::test]
async fn a_message_past_the_clients_limit_ends_only_the_connection() {
    let server = Server::start().await;
    let client = builder(&server, "socket", Transport::WebSocket).max_message_size(1000).connect().await.unwrap();
    let room = join(&client, "bench:a").await;
    server.post("/broadcast?topic=bench:a&event=big", json!({ "d": "x".repeat(2000) }).to_string().as_bytes()).await;
    let lost = outage(&client).await;
    assert!(matches!(&lost, ConnectionError::Protocol(reason) if reason.contains("limit of 1000 bytes")), "{lost}");
    connection(&client, 2).await;
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
}

#[tokio::test]
async fn long_poll_outlives_its_window() {
    let server = Server::start().await;
    let client = builder(&server, "short_socket", Transport::LongPoll).connect().await.unwrap();
    let mut room = join(&client, "bench:a").await;
    // Two windows of a second without a message.
    assert!(tokio::time::timeout(Duration::from_millis(2500), room.next()).await.is_err());
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
    assert!(matches!(client.state(), ConnectionState::Connected { count: 1, .. }));
}

#[tokio::test]
async fn a_connect_to_a_silent_server_fails_after_the_connect_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/socket", listener.local_addr().unwrap());
    let after = Duration::from_millis(100);
    let attempt = bennu_client::Client::builder(url).connect_timeout(after).connect();
    let error = tokio::time::timeout(SOON, attempt).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { after: reported } if reported == after), "{error}");
}
