//! Sockets inside an application: its state, routes and handlers, other servers and listeners, and disconnects.

use crate::support::channel::{Open, app};
use crate::support::client::{Client, MASK, handshake};
use crate::support::{Server, endpoint, soon, until};
use crate::{PATH, RecordingSocket, serve};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bennu::prelude::*;
use bennu_websocket::{Opcode, encode};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The state of an application.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: &'static str,
}

#[tokio::test]
async fn an_application_combines_sockets_with_its_state_its_routes_and_handlers_that_broadcast() {
    async fn announce(State(app): State<App>, body: String) -> Result<String, (StatusCode, String)> {
        let payload = json!({ "text": body });
        let receivers = app.endpoint.local_broadcast("room:lobby", "announced", payload);
        receivers
            .map(|receivers| receivers.to_string())
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }
    let endpoint = endpoint();
    let state = App { endpoint: endpoint.clone(), name: "the application" };
    let api = Router::new().merge(bennu::socket::<RecordingSocket>("/ws/{id}").router(&endpoint).unwrap());
    let app = Router::<App>::new()
        .route("/", get(|State(app): State<App>| async move { app.name }))
        .route("/announce", post(announce))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
        .nest("/api/{version}", api)
        .merge(bennu::socket::<Open>("/socket").router(&endpoint).unwrap())
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
        .with_state(state);
    let server = Server::start(&endpoint, app).await;

    let mut http = Client::tcp(server.addr).await;
    let mut request = async |request: String| {
        http.send_raw(request).await;
        http.response().await
    };
    assert_eq!(request("GET / HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.body, "the application");
    assert_eq!(request("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.status, 404);
    assert!(request("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n".into()).await.body.starts_with("127.0.0.1:"));

    let mut nested = Client::connect(server.addr, "/api/v1/ws/7/websocket?vsn=2.0.0").await;
    assert_eq!(nested.join("info").await["response"]["id"], "7");
    nested.joined("room:lobby").await;
    let mut merged = Client::connect(server.addr, PATH).await;
    merged.joined("room:lobby").await;

    let body = "hello all";
    let announce = format!("POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(request(announce).await.body, "2", "two sockets of two types have joined");
    for client in [&mut nested, &mut merged] {
        assert_eq!(client.receive().await, json!([null, null, "room:lobby", "announced", { "text": body }]));
    }
}

#[tokio::test]
async fn a_unix_socket_serves_websockets_and_drains() {
    let endpoint = endpoint();
    let path = std::env::temp_dir().join(format!("bennu-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = bennu::serve(listener, app(&endpoint), &endpoint).with_graceful_shutdown(async { _ = stopped.await });
    let serving = tokio::spawn(serving.into_future());
    let mut client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap());
    assert_eq!(client.upgrade(PATH, "").await.status, 101);
    client.joined("room:1").await;
    stop.send(()).unwrap();
    assert_eq!(client.close_frame().await.0, Some(1012));
    client.answer_close(1012).await;
    assert_eq!(soon("the drain", serving).await.unwrap().unwrap().connections, 1);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn axum_serve_works_with_and_without_the_address_of_the_peer() {
    let endpoint = endpoint();
    let app = bennu::socket::<RecordingSocket>("/socket").router::<()>(&endpoint).unwrap();
    for with_peer in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = app.clone();
        let server = tokio::spawn(async move {
            if with_peer {
                axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
            } else {
                axum::serve(listener, app).await
            }
        });
        let mut client = Client::tcp(addr).await;
        let peer = client.stream.local_addr().unwrap();
        client.upgrade(PATH, "").await;
        let info = client.join("info").await["response"].clone();
        assert_eq!(info["peer"], if with_peer { json!(peer) } else { Value::Null });
        client.joined("room:1").await;
        endpoint.broadcast("room:1", "said", json!({ "big": "x".repeat(300_000) })).unwrap();
        assert_eq!(client.receive().await[4]["big"].as_str().map(str::len), Some(300_000));
        client.answer_close(1000).await;
        server.abort();
    }
}

#[tokio::test]
async fn frames_that_arrive_with_the_handshake_are_processed_by_bennu_and_by_axum_serve() {
    let endpoint = endpoint();
    let app = app(&endpoint);
    let server = Server::start(&endpoint, app.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let axum = tokio::spawn(axum::serve(listener, app).into_future());
    for addr in [server.addr, plain] {
        let mut client = Client::tcp(addr).await;
        let mut bytes = handshake(PATH, "").into_bytes();
        for message in [
            json!([null, "0", "phoenix", "heartbeat", {}]),
            json!(["1", "1", "room:1", "phx_join", {}]),
            json!(["1", "2", "room:1", "echo", { "early": "x".repeat(5000) }]),
        ] {
            bytes.extend(encode::masked_frame(Opcode::Text, message.to_string().as_bytes(), MASK));
        }
        // The first bytes of a further frame.
        let last = json!([null, "3", "phoenix", "heartbeat", {}]).to_string();
        let last = encode::masked_frame(Opcode::Text, last.as_bytes(), MASK);
        bytes.extend(&last[..9]);
        client.send_raw(bytes).await;
        assert_eq!(client.response().await.status, 101);
        for reference in ["0", "1", "2"] {
            let reply = client.receive().await;
            assert_eq!((&reply[1], &reply[4]["status"]), (&json!(reference), &json!("ok")));
        }
        client.send_raw(&last[9..]).await;
        assert_eq!(client.receive().await[1], "3");
    }
    axum.abort();
}

#[tokio::test]
async fn a_disconnect_of_a_socket_id_closes_its_connections_with_1001_and_no_others() {
    let (server, endpoint) = serve(bennu::socket::<RecordingSocket>("/ws/{id}")).await;
    let mut clients = Vec::new();
    for id in ["7", "7", "8"] {
        let mut client = Client::connect(server.addr, &format!("/ws/{id}/websocket?vsn=2.0.0")).await;
        client.joined("info").await;
        clients.push(client);
    }
    endpoint.disconnect("recording:7").unwrap();
    let mut other = clients.pop().expect("three clients");
    for mut client in clients {
        assert_eq!(client.close_frame().await.0, Some(1001));
        client.answer_close(1001).await;
    }
    until("one connection is left", || endpoint.connection_count() == 1).await;
    other.joined("room:1").await;
}
