//! The server's life: it starts, stops, is killed, starts again, and leaves nothing behind.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use test_postgres::Postgres;

/// Starts a server, or skips the test.
macro_rules! start {
    ($start:expr) => {
        match $start.await {
            Ok(postgres) => postgres,
            Err(missing) => return skip(&missing),
        }
    };
}

#[tokio::test]
async fn each_database_is_empty_and_apart_from_the_others() {
    let postgres = start!(Postgres::shared());
    let (one, other) = (postgres.create_database().await, postgres.create_database().await);
    postgres.query(&one, "CREATE TABLE t (n int)").await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.query(&one, tables).await.unwrap(), "1");
    assert_eq!(postgres.query(&other, tables).await.unwrap(), "0");
}

#[tokio::test]
async fn commits_are_durable_unless_the_test_waives_it() {
    let durable = start!(Postgres::start());
    let fast = start!(Postgres::shared());
    assert_eq!(durable.query(&durable.url(), "SHOW fsync").await.unwrap(), "on");
    assert_eq!(fast.query(&fast.url(), "SHOW fsync").await.unwrap(), "off");
}

#[tokio::test]
async fn an_error_of_a_statement_has_the_message_of_the_server() {
    let postgres = start!(Postgres::shared());
    let error = postgres.query(&postgres.url(), "SELECT * FROM missing").await.unwrap_err();
    assert!(error.contains("relation \"missing\" does not exist"), "{error}");
}

#[tokio::test]
async fn a_stopped_server_starts_again_with_its_rows_at_its_address() {
    let mut postgres = start!(Postgres::start());
    let url = postgres.create_database().await;
    postgres.query(&url, "CREATE TABLE t AS SELECT 7 AS n").await.unwrap();
    postgres.stop().await;
    let error = postgres.query(&url, "SELECT n FROM t").await.unwrap_err();
    assert!(error.contains("Connection refused"), "{error}");
    postgres.start_again().await;
    assert_eq!(postgres.query(&url, "SELECT n FROM t").await.unwrap(), "7");
}

#[tokio::test]
async fn a_killed_server_ends_its_connections_and_keeps_what_was_committed() {
    let mut postgres = start!(Postgres::start());
    let url = postgres.create_database().await;
    postgres.query(&url, "CREATE TABLE t AS SELECT 7 AS n").await.unwrap();
    let mut client = open_transaction(&postgres, &url);
    postgres.kill().await;
    assert!(!client.wait().unwrap().success(), "the connection was not reset");
    postgres.start_again().await;
    assert_eq!(postgres.query(&url, "SELECT n FROM t").await.unwrap(), "7");
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_directory() {
    for killed in [false, true] {
        let mut postgres = start!(Postgres::start());
        let (directory, port) = (postgres.directory().to_owned(), port(&postgres.url()));
        if killed {
            postgres.kill().await;
        }
        drop(postgres);
        assert!(is_gone(&directory, port), "killed: {killed}");
    }
}

#[tokio::test]
async fn a_server_ends_with_its_test_when_that_is_killed() {
    let _is_installed = start!(Postgres::shared());
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--ignored", "--exact", "a_test_that_is_killed", "--nocapture"]).stdin(Stdio::piped());
    let mut test = test.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("postgres://")).unwrap();
    let (directory, url) = line.split_once(' ').unwrap();
    assert!(!is_gone(Path::new(directory), port(url)));
    test.kill().unwrap();
    test.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_gone(Path::new(directory), port(url)) {
        assert!(Instant::now() < deadline, "the server of the killed test is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
#[ignore = "the test above runs it"]
async fn a_test_that_is_killed() {
    let postgres = Postgres::start().await.unwrap();
    println!("\n{} {}", postgres.directory().display(), postgres.url());
    std::io::stdin().lines().for_each(drop);
}

/// Starts a client with a row that is not committed, and waits until it has written the row.
fn open_transaction(postgres: &Postgres, url: &str) -> std::process::Child {
    let mut client =
        postgres.psql(url).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"BEGIN; INSERT INTO t VALUES (8) RETURNING n; SELECT pg_sleep(600);\n").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "8\n");
    client
}

fn is_gone(directory: &Path, port: u16) -> bool {
    !directory.exists() && TcpStream::connect(("127.0.0.1", port)).is_err()
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

fn skip(missing: &str) {
    // The macro `eprintln` would not do: the test runner captures its output when the test passes.
    let line = format!("SKIPPED {}: {missing}\n", std::thread::current().name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
