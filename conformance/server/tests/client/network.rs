//! A slow and lossy network between two network namespaces: a round trip of 200 ms, and 5 % of the packets lost.
//!
//! `link.py` carries the packets, since not every kernel has netem. The server runs in one namespace. The client runs
//! in the other, as this test in a process of its own, which requests actions of its parent: lines that begin with `@`
//! cut the link or restart the server. The test needs root, `ip`, python3 and `/dev/net/tun`; without them it prints
//! that it is skipped.

use crate::server::Server;
use crate::{SOON, connection, join, next_event, outage, request, soon};
use bennu_client::{ChannelEvent, Client, ConnectionError, Interruption, Transport};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use test_network::Namespace;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const URL: &str = "BENNU_TEST_URL";
const PORT: u16 = 4100;
const DELAY: Duration = Duration::from_millis(100);
const LOSS: &str = "0.05";

/// The time limit of a whole test: lost handshakes are sent again after seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_slow_and_lossy_network_loses_no_message_over_websocket() {
    const TEST: &str = "network::a_slow_and_lossy_network_loses_no_message_over_websocket";
    match std::env::var(URL) {
        Ok(url) => run_client(&url, Transport::WebSocket).await,
        Err(_) => run_parent(TEST).await,
    }
}

#[tokio::test]
async fn a_slow_and_lossy_network_loses_no_message_over_long_poll() {
    const TEST: &str = "network::a_slow_and_lossy_network_loses_no_message_over_long_poll";
    match std::env::var(URL) {
        Ok(url) => run_client(&url, Transport::LongPoll).await,
        Err(_) => run_parent(TEST).await,
    }
}

/// Runs the client, in the child process.
async fn run_client(url: &str, over: Transport) {
    let builder = || Client::builder(url).transport(over).push_timeout(SOON).join_timeout(SOON).connect_timeout(SOON);
    let client = soon("the connection", builder().connect()).await.unwrap();
    let mut room = join(&client, "bench:a").await;

    let start = Instant::now();
    assert_eq!(request(&room, "echo", json!({ "n": 0 })).await, json!({ "n": 0 }));
    assert!(start.elapsed() >= 2 * DELAY, "the link has no delay: {:?}", start.elapsed());

    // Many pushes at once, each with its own reply.
    let answers = futures::future::join_all((0..50).map(|n| request(&room, "echo", json!({ "n": n })))).await;
    assert_eq!(answers, (0..50).map(|n| json!({ "n": n })).collect::<Vec<_>>());

    // All broadcasts arrive once and in order.
    (0..100).for_each(|n| room.send("broadcast", json!({ "n": n, "d": "d".repeat(200) })).unwrap());
    for n in 0..100 {
        let message = soon("a broadcast", room.next()).await.unwrap();
        assert_eq!(message.parse::<Value>().unwrap()["n"], n);
    }

    // A server that restarts.
    request_parent("restart").await;
    loop {
        if let ChannelEvent::Joined(_) = next_event(&mut room).await {
            break;
        }
    }
    assert_eq!(request(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
    soon("the end", client.disconnect()).await;

    if over == Transport::WebSocket {
        // Only heartbeats detect a link that loses every packet.
        let client = builder().heartbeat(Duration::from_secs(3)).connect().await.unwrap();
        let mut room = join(&client, "bench:a").await;
        request_parent("cut").await;
        assert_eq!(next_event(&mut room).await, ChannelEvent::Interrupted(Interruption::ConnectionLost));
        let lost = outage(&client).await;
        assert!(matches!(lost, ConnectionError::Timeout { .. } | ConnectionError::Attempt(_)), "{lost}");
        room.send("broadcast", json!({ "n": 2 })).unwrap();
        request_parent("heal").await;
        connection(&client, 2).await;
        let message = soon("the buffered broadcast", room.next()).await.unwrap();
        assert_eq!(message.parse::<Value>().unwrap(), json!({ "n": 2 }));
    }
}

/// Requests an action of the parent and waits until it is done.
async fn request_parent(action: &str) {
    println!("@{action}");
    std::io::stdout().flush().unwrap();
    // The client's tasks run meanwhile.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
}

/// Runs the link, the server, and the child, in the parent process.
async fn run_parent(test: &str) {
    if let Some(missing) = missing() {
        return test_network::skip(test, missing);
    }
    tokio::time::timeout(TIMEOUT, play(test)).await.expect("the test ends within its time limit");
}

async fn play(test: &str) {
    let (here, there) = (Namespace::new("a"), Namespace::new("b"));
    let mut link = Link::start(&here, &there).await;
    let start = async || {
        let mut command = Command::from(here.command(env!("CARGO_BIN_EXE_conformance-server")));
        Server::run(command.arg(format!("10.77.0.1:{PORT}"))).await
    };
    let mut server = start().await;
    let mut command = Command::from(there.command(std::env::current_exe().unwrap().to_str().unwrap()));
    command.args(["--exact", test, "--nocapture"]).env(URL, format!("ws://10.77.0.1:{PORT}/socket"));
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut confirmations = client.stdin.take().unwrap();
    let mut actions = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut performed = 0;
    while let Some(line) = actions.next_line().await.unwrap() {
        // libtest prints its own text before ours, on the same line.
        match line.rsplit_once('@').map(|(_, action)| action) {
            Some("restart") => {
                server.kill().await;
                server = start().await;
            }
            Some("cut") => link.set_loss("1").await,
            Some("heal") => link.set_loss(LOSS).await,
            _ => continue,
        }
        performed += 1;
        confirmations.write_all(b"done\n").await.unwrap();
    }
    assert!(performed > 0, "the client did not run");
    assert!(client.wait().await.unwrap().success(), "the client failed: see above");
}

fn missing() -> Option<&'static str> {
    if let Some(missing) = test_network::unavailable() {
        Some(missing)
    } else if !Path::new("/dev/net/tun").exists() {
        Some("there is no /dev/net/tun")
    } else if !test_network::succeeds("python3", &["-V"]) {
        Some("there is no python3")
    } else {
        None
    }
}

/// The process of the link. The end of its standard input, or of the process, removes the devices.
struct Link {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Link {
    async fn start(here: &Namespace, there: &Namespace) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client/link.py");
        let mut command = Command::new("python3");
        command.args([script, here.name(), there.name(), &DELAY.as_millis().to_string(), LOSS, "7"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut link = Link { _process: process, input, output };
        link.ready().await;
        link
    }

    /// Sets the share of lost packets.
    async fn set_loss(&mut self, share: &str) {
        self.input.write_all(format!("{share}\n").as_bytes()).await.unwrap();
        self.ready().await;
    }

    async fn ready(&mut self) {
        let line = soon("the link", self.output.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some("ready"));
    }
}
