//! A network that is slow and loses packets: 200 ms there and back, 5 % lost, between two network namespaces.
//!
//! `link.py` carries the packets, since not every kernel has netem. The server runs in one namespace; the client in the
//! other, as this very test in a process of its own, which asks its parent in lines that begin with `@` to cut the link
//! or to start the server anew. Needs root, `ip`, python3 and `/dev/net/tun`; where they are missing the test says that
//! it is skipped.

use crate::server::Server;
use crate::{SOON, ask, connection, join, next_event, outage, soon};
use bennu_client::{Client, Event, Interruption, Lost, Transport};
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

/// What a test may take as a whole: lost handshakes are sent again after seconds.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_slow_and_lossy_network_costs_time_and_nothing_else_over_websocket() {
    const TEST: &str = "network::a_slow_and_lossy_network_costs_time_and_nothing_else_over_websocket";
    match std::env::var(URL) {
        Ok(url) => beyond(&url, Transport::WebSocket).await,
        Err(_) => across(TEST).await,
    }
}

#[tokio::test]
async fn a_slow_and_lossy_network_costs_time_and_nothing_else_over_long_poll() {
    const TEST: &str = "network::a_slow_and_lossy_network_costs_time_and_nothing_else_over_long_poll";
    match std::env::var(URL) {
        Ok(url) => beyond(&url, Transport::LongPoll).await,
        Err(_) => across(TEST).await,
    }
}

/// In the child: the client's side.
async fn beyond(url: &str, over: Transport) {
    let builder = || Client::builder(url).transport(over).push_timeout(SOON).join_timeout(SOON).connect_timeout(SOON);
    let client = soon("the connection", builder().connect()).await.unwrap();
    let mut room = join(&client, "bench:a").await;

    let start = Instant::now();
    assert_eq!(ask(&room, "echo", json!({ "n": 0 })).await, json!({ "n": 0 }));
    assert!(start.elapsed() >= 2 * DELAY, "no such link: {:?}", start.elapsed());

    // Many at once, each answered with its own.
    let answers = futures::future::join_all((0..50).map(|n| ask(&room, "echo", json!({ "n": n })))).await;
    assert_eq!(answers, (0..50).map(|n| json!({ "n": n })).collect::<Vec<_>>());

    // All of them, once, in order.
    (0..100).for_each(|n| room.send("broadcast", json!({ "n": n, "d": "d".repeat(200) })).unwrap());
    for n in 0..100 {
        let message = soon("a broadcast", room.next()).await.unwrap();
        assert_eq!(message.parse::<Value>().unwrap()["n"], n);
    }

    // A server that is gone and back.
    tell("restart").await;
    loop {
        if let Event::Joined(_) = next_event(&mut room).await {
            break;
        }
    }
    assert_eq!(ask(&room, "echo", json!({ "n": 1 })).await, json!({ "n": 1 }));
    soon("the end", client.disconnect()).await;

    if over == Transport::WebSocket {
        // A link that is dead without a word is noticed by heartbeats alone.
        let client = builder().heartbeat(Duration::from_secs(3)).connect().await.unwrap();
        let mut room = join(&client, "bench:a").await;
        tell("cut").await;
        assert_eq!(next_event(&mut room).await, Event::Interrupted(Interruption::ConnectionLost));
        let lost = outage(&client).await;
        assert!(matches!(lost, Lost::Silent { .. } | Lost::Attempt(_)), "{lost}");
        room.send("broadcast", json!({ "n": 2 })).unwrap();
        tell("heal").await;
        connection(&client, 2).await;
        let message = soon("what waited", room.next()).await.unwrap();
        assert_eq!(message.parse::<Value>().unwrap(), json!({ "n": 2 }));
    }
}

/// Asks the parent, and waits until it has done so.
async fn tell(wish: &str) {
    println!("@{wish}");
    std::io::stdout().flush().unwrap();
    // The client goes on meanwhile.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
}

/// In the parent: the link, the server, and the child.
async fn across(test: &str) {
    if let Some(missing) = missing() {
        return test_network::skip(test, missing);
    }
    tokio::time::timeout(PATIENCE, play(test)).await.expect("the test's patience");
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
    let mut answer = client.stdin.take().unwrap();
    let mut wishes = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut granted = 0;
    while let Some(line) = wishes.next_line().await.unwrap() {
        // libtest writes its own words before ours, on the same line.
        match line.rsplit_once('@').map(|(_, wish)| wish) {
            Some("restart") => {
                server.kill().await;
                server = start().await;
            }
            Some("cut") => link.lose("1").await,
            Some("heal") => link.lose(LOSS).await,
            _ => continue,
        }
        granted += 1;
        answer.write_all(b"done\n").await.unwrap();
    }
    assert!(granted > 0, "the client's side did not run");
    assert!(client.wait().await.unwrap().success(), "the client's side failed: see above");
}

fn missing() -> Option<&'static str> {
    if let Some(missing) = test_network::missing() {
        Some(missing)
    } else if !Path::new("/dev/net/tun").exists() {
        Some("there is no /dev/net/tun")
    } else if !test_network::runs("python3", &["-V"]) {
        Some("there is no python3")
    } else {
        None
    }
}

/// The link; its end of standard input, or its death, takes the devices away.
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

    /// Loses this share of the packets from now on.
    async fn lose(&mut self, share: &str) {
        self.input.write_all(format!("{share}\n").as_bytes()).await.unwrap();
        self.ready().await;
    }

    async fn ready(&mut self) {
        let line = soon("the link", self.output.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some("ready"));
    }
}
