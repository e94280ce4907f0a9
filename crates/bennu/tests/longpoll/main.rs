//! Long polling through the router of a mount: delivery, malformed requests, the end of sessions, quotas, options, and
//! other nodes. The responses to single requests are compared with the recordings of real Phoenix in `conformance`.

#[path = "../support/mod.rs"]
mod support;

mod delivery;
mod end;
mod malformed;
mod mount;
mod node;
mod quota;

use axum::Router;
use axum::body::Body;
use bennu::prelude::*;
use bennu::pubsub::{InProcess, NodeName, PubSub};
use bennu::token::Secret;
use bennu::{CheckOrigin, ConnectInfo, Drained, LongPoll};
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, StatusCode};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use support::channel::{Open, Room};
use support::client::Client;
use support::longpoll::{Poller, Response, request, respond};
use support::watch::Metrics;
use support::{Server, endpoint, soon, until};
use tokio::time::{Instant, sleep};

fn mount(endpoint: &Endpoint, longpoll: impl Into<LongPoll>) -> Router {
    bennu::socket::<Open>("/socket").longpoll(longpoll).router(endpoint).expect("a valid mount")
}

fn said(n: u32) -> Value {
    json!([null, null, "room:1", "said", { "n": n }])
}

fn broadcast(endpoint: &Endpoint, n: u32) {
    endpoint.broadcast("room:1", "said", json!({ "n": n })).expect("an object");
}

/// Waits until every other task waits: paused time advances only then.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn slow_body(mut parts: tokio::sync::mpsc::UnboundedReceiver<Bytes>) -> Body {
    Body::from_stream(futures::stream::poll_fn(move |cx| parts.poll_recv(cx).map(|part| part.map(Ok::<_, Infallible>))))
}

/// Of 100 broadcasts to 2,000 long-poll clients over TCP, none is lost, none arrives twice, and all are in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_each_receive_a_hundred_broadcasts_once_and_in_order() {
    const CLIENTS: usize = 2000;
    const BROADCASTS: u32 = 100;
    let endpoint = endpoint();
    let server = Server::start(&endpoint, mount(&endpoint, true)).await;
    let addr = server.addr;
    let joined = Arc::new(tokio::sync::Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let joined = joined.clone();
            tokio::spawn(async move {
                let mut client = Client::tcp(addr).await;
                let mut token = String::new();
                let mut received = Vec::new();
                let mut started = false;
                while received.len() < BROADCASTS as usize {
                    let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
                    client.send_raw(format!("GET {uri} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
                    let polled: Value = serde_json::from_str(&client.response().await.body).expect("JSON");
                    token = polled["token"].as_str().expect("a token").to_owned();
                    match polled["status"].as_u64() {
                        Some(410) if received.is_empty() && !started => {
                            let join = r#"["1","1","room:1","phx_join",{}]"#;
                            let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
                            let head = format!("POST {uri} HTTP/1.1\r\nHost: h\r\nContent-Length: {}", join.len());
                            client.send_raw(format!("{head}\r\n\r\n{join}")).await;
                            assert_eq!(client.response().await.body, r#"{"status":200}"#);
                        }
                        Some(204) => {}
                        Some(200) => {
                            for message in polled["messages"].as_array().expect("messages") {
                                let message: Value = serde_json::from_str(message.as_str().unwrap()).expect("JSON");
                                match message[3].as_str() {
                                    Some("said") => received.push(message[4]["n"].as_u64().unwrap()),
                                    _ => {
                                        assert_eq!(message[4]["status"], "ok", "{message}");
                                        started = true;
                                        joined.wait().await;
                                    }
                                }
                            }
                        }
                        _ => panic!("{polled}"),
                    }
                }
                received
            })
        })
        .collect();
    soon("all joined", joined.wait()).await;
    for n in 0..BROADCASTS {
        broadcast(&endpoint, n);
        tokio::task::yield_now().await;
    }
    let expected: Vec<u64> = (0..u64::from(BROADCASTS)).collect();
    for client in clients {
        assert_eq!(soon("all broadcasts", client).await.expect("a client"), expected);
    }
    assert_eq!(endpoint.connection_count(), CLIENTS);
    let drained = server.drained().await;
    assert_eq!(drained.connections, CLIENTS);
}
