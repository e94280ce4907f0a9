//! The adapter against a Redis server: the suite of all brokers, and the tests of Redis alone.

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::Server;
use bennu_pubsub_cluster::conformance::log::CapturedLog;
use bennu_pubsub_cluster::conformance::node::{Node, Note, eventually};
use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};
use bennu_pubsub_cluster::{QUEUE_BYTES, Subject};
use bennu_pubsub_redis::Redis;

struct RedisServer;

bennu_pubsub_cluster::suite!(RedisServer);

impl Program for RedisServer {
    const NAME: &'static str = "redis-server";
}

impl Server for RedisServer {
    const WRONG_PASSWORD: &'static str = "WRONGPASS";

    fn arguments(port: u16, credentials: Option<(&str, &str)>) -> Vec<String> {
        let mut arguments = format!("--port {port} --bind 127.0.0.1 --appendonly no --save")
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>();
        arguments.push(String::new());
        if let Some((user, password)) = credentials {
            // Exactly the permissions that the documentation requires for a user.
            let user = format!(
                "--requirepass {password} --user {user} on >{password} resetchannels &bennu:bennu:* \
                 -@all +hello +ping +publish +subscribe +unsubscribe"
            );
            arguments.extend(user.split(' ').map(str::to_owned));
        }
        arguments
    }

    fn join(port: u16, credentials: Option<&str>, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        let credentials = credentials.map(|credentials| format!("{credentials}@")).unwrap_or_default();
        let redis = Redis::new(&format!("redis://{credentials}127.0.0.1:{port}")).expect("the URL is valid");
        PubSub::new(redis.cluster(cluster).queue_bytes(queue_bytes).join(NodeName::new(name)))
    }

    fn foreign_publish(subject: Subject<'_>, payload: &[u8]) -> Vec<u8> {
        let channel = match subject {
            Subject::Topic(topic) => format!("bennu:bennu:t:{topic}"),
            Subject::Node(node) => format!("bennu:bennu:n:{node}"),
            Subject::Control => "bennu:bennu:c".to_owned(),
        };
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), payload.len());
        [head.as_bytes(), payload, b"\r\n"].concat()
    }
}

#[tokio::test]
async fn a_password_without_a_user_is_that_of_the_default_user() {
    let Some(server) = Process::<RedisServer>::start(Some(("app", "s3cret"))) else { return };
    let node = Node::join_with::<RedisServer>(server.port(), Some(":s3cret"), "bennu", "a", QUEUE_BYTES);
    eventually("it is connected", || node.is_connected()).await;
}

#[tokio::test]
async fn commands_that_access_control_forbids_are_counted_and_logged_once() {
    let Some(server) = Process::<RedisServer>::start(Some(("app", "s3cret"))) else { return };
    let log = CapturedLog::capture();
    let node = Node::join_with::<RedisServer>(server.port(), Some("app:s3cret"), "forbidden", "a", QUEUE_BYTES);
    eventually("it is connected", || node.is_connected()).await;
    for n in 0..100 {
        node.broadcast("t", Note::new(n)).unwrap();
    }
    eventually("all are counted", || node.counter("bennu.pubsub.refused", &[]) >= 100).await;
    assert_eq!(log.lines(&["WARN", "NOPERM"]).len(), 1, "{:#?}", log.lines(&[]));
}

#[tokio::test]
async fn a_server_of_another_protocol_is_reported() {
    let port = free_port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let log = CapturedLog::capture();
    let node = Node::join_with::<RedisServer>(port, None, "bennu", "a", QUEUE_BYTES);
    let (mut client, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    eventually("it is reported", || log.lines(&["ERROR", "broke its protocol"]).len() == 1).await;
    assert!(!node.is_connected());
}
