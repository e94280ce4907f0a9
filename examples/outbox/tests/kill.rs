//! Kills the outbox's process during deliveries: every row arrives, some twice.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const ROWS: i64 = 1000;

/// Rows that the outbox delivers at once.
const WORKERS: usize = 8;

/// Longer than the test takes: a wait of that length has failed.
const FAILED: Duration = Duration::from_secs(120);

fn outbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// Returns the output of a command.
async fn output(arguments: &[&str]) -> String {
    let output = outbox(arguments).output().await.expect("it starts");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("it prints text").trim().to_owned()
}

/// Receives rows, and acknowledges them when the test calls for it.
struct Receiver {
    listener: TcpListener,
    /// How often each row arrived.
    seen: HashMap<i64, usize>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a port");
        Receiver { listener, seen: HashMap::new() }
    }

    fn address(&self) -> String {
        self.listener.local_addr().expect("it is bound").to_string()
    }

    /// Receives the next row, without an acknowledgement.
    async fn receive(&mut self) -> TcpStream {
        loop {
            let (stream, _) = self.listener.accept().await.expect("the listener lives");
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            // A process that was killed before it sent the row leaves an empty connection.
            let Ok(1..) = stream.read_line(&mut line).await else { continue };
            let (id, body) = line.trim_end().split_once(' ').expect("an id and a body");
            assert_eq!(body, format!("news {id}"));
            *self.seen.entry(id.parse().expect("a number")).or_default() += 1;
            return stream.into_inner();
        }
    }

    async fn receive_and_acknowledge(&mut self) {
        let sent = self.receive().await.write_all(b"ok\n").await;
        sent.expect("the outbox waits for the acknowledgement");
    }
}

fn deliver(database: &str, receiver: &Receiver) -> Child {
    outbox(&["deliver", database, &receiver.address()]).spawn().expect("it starts")
}

/// Lets the process deliver `rows` rows, and kills it when all its workers wait for an acknowledgement.
async fn deliver_some_and_kill(database: &str, receiver: &mut Receiver, rows: usize) {
    let mut child = deliver(database, receiver);
    for _ in 0..rows {
        receiver.receive_and_acknowledge().await;
    }
    let mut unacknowledged = Vec::new();
    while unacknowledged.len() < WORKERS {
        unacknowledged.push(receiver.receive().await);
    }
    child.kill().await.expect("it runs");
}

#[tokio::test]
async fn a_process_that_is_killed_during_deliveries_delivers_each_row_at_least_once() {
    let directory = tempfile::tempdir().expect("there is room");
    let database = Path::join(directory.path(), "outbox.db");
    let database = database.to_str().expect("a path of text");
    timeout(FAILED, killed_twice(database)).await.expect("the test does not hang");
}

async fn killed_twice(database: &str) {
    output(&["insert", database, &ROWS.to_string()]).await;
    let mut receiver = Receiver::start().await;
    deliver_some_and_kill(database, &mut receiver, 100).await;
    deliver_some_and_kill(database, &mut receiver, 300).await;
    let before: HashMap<i64, usize> = receiver.seen.clone();
    let left: usize = output(&["count", database]).await.parse().expect("a number");
    assert!(left >= ROWS as usize - 400, "no row is deleted before its acknowledgement: {left} left");

    let mut child = deliver(database, &receiver);
    while receiver.seen.len() < ROWS as usize {
        receiver.receive_and_acknowledge().await;
    }
    // Repeated rows may still be in delivery. The end of its input makes the process finish them.
    drop(child.stdin.take());
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            () = receiver.receive_and_acknowledge() => {}
        }
    };
    assert!(ended.expect("it ran").success());
    assert_eq!(output(&["count", database]).await, "0");

    let mut ids: Vec<i64> = receiver.seen.keys().copied().collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=ROWS).collect::<Vec<_>>());
    let repeated: Vec<i64> = ids.into_iter().filter(|id| receiver.seen[id] > 1).collect();
    assert!(repeated.iter().all(|id| before.contains_key(id)), "only rows that a killed process had sent are repeated");
    // At each kill, all workers' rows had arrived and were not acknowledged.
    assert!(repeated.len() >= WORKERS, "{} rows were repeated", repeated.len());
    println!("{ROWS} rows, killed twice: all arrived, {} of them more than once", repeated.len());
}
