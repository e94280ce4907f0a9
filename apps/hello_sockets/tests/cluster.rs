//! A cluster of two servers: a broadcast from the command line of one node reaches the clients of the other.

mod support;

use bennu_client::Client;
use bennu_pubsub_cluster::conformance::process::free_port;
use serde_json::{Value, json};
use std::time::Duration;
use support::program::HELLO;
use support::{DEADLINE, broker};
use test_program::{Login, Program};
use tokio::time::timeout;

#[tokio::test]
async fn a_broadcast_of_one_node_reaches_the_clients_of_another_over_redis() {
    if let Some(redis) = broker::redis() {
        two_nodes([&redis.address; 2]).await;
    }
}

#[tokio::test]
async fn a_broadcast_of_one_node_reaches_the_clients_of_another_over_nats() {
    if let Some(nats) = broker::nats() {
        two_nodes([&nats.address; 2]).await;
    }
}

#[tokio::test]
async fn a_broadcast_of_one_node_reaches_the_clients_of_another_over_zenoh() {
    let [a, b] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    two_nodes([&format!("zenoh://{a}"), &format!("zenoh://{b}?connect={a}")]).await;
}

async fn two_nodes(clusters: [&str; 2]) {
    let login = Login::new(HELLO);
    let node =
        async |name: &str, cluster: &str| Program::start_with(&login, 0, &[("NODE", name), ("CLUSTER", cluster)]).await;
    let (a, b) = (node("a@localhost", clusters[0]).await, node("b@localhost", clusters[1]).await);
    let client = Client::connect(format!("ws://{}/socket", b.address())).await.unwrap();
    let mut ping = client.join("ping", json!({})).await.unwrap();
    // Broadcasts are lost until the engine has both nodes and the topic's subscription.
    let reached = async {
        loop {
            assert_eq!(login.run(a.port, &["broadcast", "ping", "request_ping", "{}"]).await, "ok");
            match timeout(Duration::from_millis(100), ping.next()).await {
                Ok(message) => return message.expect("it is joined"),
                Err(_) => continue,
            }
        }
    };
    let message = timeout(DEADLINE, reached).await.expect("no broadcast arrived before the deadline");
    let payload: Value = message.parse().unwrap();
    assert_eq!((message.event.as_str(), payload), ("send_ping", json!({ "from_node": "b@localhost" })));
    assert_eq!(login.run(a.port, &["nodes"]).await, "b@localhost");
    assert_eq!(login.run(b.port, &["nodes"]).await, "a@localhost");
}

#[tokio::test]
async fn an_invalid_cluster_configuration_is_an_error_of_one_line() {
    let login = Login::new(HELLO);
    let line = login.fail_to_start_with(&[("CLUSTER", "redis://localhost")]).await;
    assert_eq!(
        line,
        "hello_sockets: CLUSTER is set, so NODE must name this node: NODE=a@localhost, with another name for each server"
    );
    let line = login.fail_to_start_with(&[("NODE", "a"), ("CLUSTER", "http://localhost")]).await;
    let known = "does not begin with zenoh://, redis://, rediss://, nats:// or tls://";
    assert_eq!(line, format!("hello_sockets: could not use CLUSTER: \"http://localhost\" {known}"));
    let line = login.fail_to_start("DOWN_AFTER", "0").await;
    assert_eq!(line, "hello_sockets: could not use DOWN_AFTER: \"0\" is not a whole number of seconds of at least 1");
    let line = login.fail_to_start_with(&[("NODE", "b"), ("CLUSTER", "zenoh://127.0.0.1:7448?connect=")]).await;
    let reason = "connect has no address; write connect=HOST:PORT,HOST:PORT";
    assert!(line.starts_with("hello_sockets: could not use CLUSTER: ") && line.ends_with(reason), "{line}");
}
