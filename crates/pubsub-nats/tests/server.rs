//! The adapter against a NATS server: the suite of all brokers, and the tests of NATS alone.

use bennu_pubsub::{NodeName, PubSub};
use bennu_pubsub_cluster::conformance::Server;
use bennu_pubsub_cluster::conformance::log::CapturedLog;
use bennu_pubsub_cluster::conformance::node::{Node, Note, eventually, next};
use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};
use bennu_pubsub_cluster::{QUEUE_BYTES, Subject};
use bennu_pubsub_nats::Nats;

struct NatsServer;

bennu_pubsub_cluster::suite!(NatsServer);

impl Program for NatsServer {
    const NAME: &'static str = "nats-server";
}

impl Server for NatsServer {
    const WRONG_PASSWORD: &'static str = "Authorization Violation";

    fn arguments(port: u16, credentials: Option<(&str, &str)>) -> Vec<String> {
        let credentials = credentials.map(|(user, password)| format!(" --user {user} --pass {password}"));
        let arguments = format!("-a 127.0.0.1 -p {port}{}", credentials.unwrap_or_default());
        arguments.split(' ').map(str::to_owned).collect()
    }

    fn join(port: u16, credentials: Option<&str>, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        let credentials = credentials.map(|credentials| format!("{credentials}@")).unwrap_or_default();
        let nats = Nats::new(&format!("nats://{credentials}127.0.0.1:{port}")).expect("the URL is valid");
        PubSub::new(nats.cluster(cluster).queue_bytes(queue_bytes).join(NodeName::new(name)))
    }

    fn foreign_publish(subject: Subject<'_>, payload: &[u8]) -> Vec<u8> {
        let subject = match subject {
            Subject::Topic(topic) => format!("bennu.bennu.t.{topic}"),
            Subject::Node(node) => format!("bennu.bennu.n.{node}"),
            Subject::Control => "bennu.bennu.c".to_owned(),
        };
        let head = format!("CONNECT {{\"verbose\":false}}\r\nPUB {subject} {}\r\n", payload.len());
        [head.as_bytes(), payload, b"\r\n"].concat()
    }
}

#[tokio::test]
async fn a_token_is_accepted_like_a_password() {
    let port = free_port();
    let arguments = format!("-a 127.0.0.1 -p {port} --auth t0ken");
    let Some(_server) = Process::<NatsServer>::start_with(port, arguments.split(' ').map(str::to_owned).collect())
    else {
        return;
    };
    let node = Node::join_with::<NatsServer>(port, Some("t0ken"), "bennu", "a", QUEUE_BYTES);
    eventually("it is connected", || node.is_connected()).await;
}

#[tokio::test]
async fn a_message_past_the_servers_limit_is_an_error_and_the_connection_stays() {
    let Some(server) = Process::<NatsServer>::start(None) else { return };
    let (a, b) = Node::pair(&server).await;
    let mut notes = b.subscribe::<Note>("t");
    a.wait_for_subscription("t", &mut notes).await;
    let error = a.broadcast("t", Note { n: 1, text: "x".repeat(1 << 20) }).unwrap_err().to_string();
    assert!(error.ends_with("the limit is 1048576"), "{error}");
    let text = "x".repeat((1 << 20) - 100);
    a.broadcast("t", Note { n: 2, text }).unwrap();
    assert_eq!(next(&mut notes).await, 2);
}

#[tokio::test]
async fn the_next_server_of_the_list_is_used_when_one_is_down() {
    let Some(server) = Process::<NatsServer>::start(None) else { return };
    let log = CapturedLog::capture();
    let nats = Nats::new(&format!("nats://127.0.0.1:{},nats://127.0.0.1:{}", free_port(), server.port())).unwrap();
    let one = PubSub::new(nats.join(NodeName::new("one")));
    let other = Node::join(&server, "other");
    other.wait_for_nodes(2).await;
    eventually("both nodes have found each other", || one.nodes().len() == 2).await;
    assert_eq!(log.lines(&["ERROR", "node=one"]).len(), 1);
}

#[tokio::test]
async fn a_server_of_another_protocol_is_reported() {
    let port = free_port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let log = CapturedLog::capture();
    let node = Node::join_with::<NatsServer>(port, None, "bennu", "a", QUEUE_BYTES);
    let (mut client, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    eventually("it is reported", || log.lines(&["ERROR", "broke its protocol"]).len() == 1).await;
    assert!(!node.is_connected());
}
