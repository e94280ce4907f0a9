//! The lines that a StatsD server receives from the running program, as in the book.

mod support;

use bennu_client::{Client, JoinError};
use bennu_telemetry::{Line, StatsdListener};
use serde_json::json;
use support::DEADLINE;
use support::program::HELLO;
use test_program::{Login, Program};
use tokio::time::timeout;

/// Starts a program that sends to the test's listener.
async fn measured() -> (Login, Program, StatsdListener) {
    let listener = StatsdListener::bind("127.0.0.1:0").unwrap();
    let login = Login::new(HELLO);
    let program = Program::start_with(&login, 0, &[("STATSD", &listener.address().to_string())]).await;
    (login, program, listener)
}

/// Returns the next line of the application; those of the framework and the process arrive every second.
async fn next(listener: &mut StatsdListener) -> Line {
    let line = async {
        loop {
            let line = listener.recv().await;
            if !line.is_aggregated() {
                return line;
            }
        }
    };
    timeout(DEADLINE, line).await.expect("no line before the deadline")
}

#[tokio::test]
async fn connects_joins_and_pings_of_the_measured_socket_are_a_line_each() {
    let (_login, program, mut listener) = measured().await;
    let client = Client::connect(format!("ws://{}/stats_socket", program.address())).await.unwrap();
    assert_eq!(next(&mut listener).await.to_string(), "socket_connect 1|c|#status:success,socket:StatsSocket");
    let refused = client.join("invalid", json!({})).await;
    assert!(matches!(refused, Err(JoinError::Refused { .. })), "{refused:?}");
    assert_eq!(next(&mut listener).await.to_string(), "channel_join 1|c|#status:fail,channel:StatsChannel");
    let valid = client.join("valid", json!({})).await.unwrap();
    assert_eq!(next(&mut listener).await.to_string(), "channel_join 1|c|#status:success,channel:StatsChannel");
    for _ in 0..5 {
        valid.push("ping", json!({})).await.unwrap();
        let line = next(&mut listener).await.to_string();
        let milliseconds = line.strip_prefix("stats_channel.ping ").and_then(|rest| rest.strip_suffix("|ms"));
        // The random wait is from 1 ms to 1 s; a busy machine may add to it.
        let milliseconds: f64 = milliseconds.expect(&line).parse().expect(&line);
        assert!((1.0..20_000.0).contains(&milliseconds), "{line}");
    }
}

#[tokio::test]
async fn each_timed_push_has_a_line_of_the_workers_time_and_one_of_the_time_to_the_client() {
    let (login, program, mut listener) = measured().await;
    let token = login.run(program.port, &["sign", "1"]).await;
    let client = Client::connect(format!("ws://{}/auth_socket?token={token}", program.address())).await.unwrap();
    let mut user = client.join("user:1", json!({})).await.unwrap();
    // In rounds, since datagrams that arrive faster than they are read are lost.
    for _ in 0..5 {
        assert_eq!(login.run(program.port, &["push_timed", "1", "--times", "50"]).await, "ok");
        let (mut worked, mut delivered) = (0, 0);
        while worked + delivered < 100 {
            let line = next(&mut listener).await.to_string();
            match line.split_once(' ') {
                Some(("pipeline.worker.process_time", value)) if value.ends_with("|ms") => worked += 1,
                Some(("pipeline.push_delivered", value)) if value.ends_with("|h") => delivered += 1,
                _ => panic!("{line}"),
            }
        }
        assert_eq!((worked, delivered), (50, 50));
    }
    for _ in 0..5 {
        let mut numbers = Vec::new();
        for _ in 1..=50 {
            let message = timeout(DEADLINE, user.next()).await.expect("no push before the deadline").unwrap();
            assert_eq!(message.event, "push_timed");
            numbers.push(message.parse::<serde_json::Value>().unwrap()["n"].as_u64().unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_increment_command_is_a_line_with_its_tags() {
    let (login, program, mut listener) = measured().await;
    assert_eq!(login.run(program.port, &["increment", "test"]).await, "ok");
    assert_eq!(next(&mut listener).await.to_string(), "test 1|c");
    assert_eq!(login.run(program.port, &["increment", "test", "name:1", "success:true"]).await, "ok");
    assert_eq!(next(&mut listener).await.to_string(), "test 1|c|#name:1,success:true");
    assert_eq!(
        login.fail(program.port, &["increment", "test", "name"]).await,
        "hello_sockets: \"name\" is not a tag: write it as key:value"
    );
}

#[tokio::test]
async fn without_a_statsd_server_lines_are_printed() {
    let login = Login::new(HELLO);
    let mut program = Program::start(&login, 0).await;
    login.run(program.port, &["increment", "test", "name:1"]).await;
    assert_eq!(program.line().await.unwrap(), "StatsD metric: test 1|c|#name:1");
}

#[tokio::test]
async fn an_invalid_statsd_address_is_an_error_of_one_line() {
    let error = Login::new(HELLO).fail_to_start("STATSD", "8126").await;
    assert!(error.starts_with("hello_sockets: could not use STATSD: \"8126\" is not an address"), "{error}");
}
