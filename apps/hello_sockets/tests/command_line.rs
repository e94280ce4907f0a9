//! The program end to end: commands to the running server, its start, and its end.

mod support;

use bennu_client::{Client, ClientChannel, ConnectionError};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::DEADLINE;
use support::program::HELLO;
use test_program::{Login, Program, Signal};
use tokio::time::timeout;

async fn running() -> (Login, Program) {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    (login, program)
}

/// Connects a client to the program and joins a topic.
async fn joined(program: &Program, socket: &str, topic: &str) -> (Client, ClientChannel) {
    let client = Client::connect(format!("ws://{}{socket}", program.address())).await.unwrap();
    let channel = client.join(topic, json!({})).await.unwrap();
    (client, channel)
}

/// Returns the next event and its payload.
async fn receive(channel: &mut ClientChannel) -> (String, Value) {
    let message = timeout(DEADLINE, channel.next()).await.expect("no message arrived before the deadline").unwrap();
    let payload = message.parse().unwrap();
    (message.event, payload)
}

/// Returns the code with which the server closes the client's connection.
async fn close_code(client: &Client) -> Option<u16> {
    let mut states = client.states();
    let closed = async {
        loop {
            states.next().await;
            match client.last_error().as_deref() {
                Some(ConnectionError::Closed { code, .. }) => return *code,
                Some(other) => panic!("{other}"),
                None => {}
            }
        }
    };
    timeout(DEADLINE, closed).await.expect("no close before the deadline")
}

#[tokio::test]
async fn a_broadcast_from_the_command_line_reaches_a_client() {
    let (login, program) = running().await;
    let (_client, mut ping) = joined(&program, "/socket", "ping").await;
    assert_eq!(login.run(program.port, &["broadcast", "other", "x", "{}"]).await, "ok");
    assert_eq!(login.run(program.port, &["broadcast", "ping", "test", r#"{"data": 1e3}"#]).await, "ok");
    assert_eq!(receive(&mut ping).await, ("test".to_owned(), json!({ "data": 1e3 })));
    assert_eq!(login.run(program.port, &["broadcast", "ping", "request_ping", "{}"]).await, "ok");
    assert_eq!(receive(&mut ping).await, ("send_ping".to_owned(), json!({ "from_node": "nonode@nohost" })));
}

#[tokio::test]
async fn three_numbers_a_hundred_times_are_three_pushes() {
    let (login, program) = running().await;
    let (_client, mut dupe) = joined(&program, "/socket", "dupe").await;
    assert_eq!(login.run(program.port, &["dupe", "1,2,3", "100"]).await, "ok");
    for value in [1, 2, 3] {
        assert_eq!(receive(&mut dupe).await, ("number".to_owned(), json!({ "value": value })));
    }
    // Only these three arrived: the next number is the one of the next command.
    assert_eq!(login.run(program.port, &["dupe", "-1", "1"]).await, "ok");
    assert_eq!(receive(&mut dupe).await, ("number".to_owned(), json!({ "value": -1 })));
}

#[tokio::test]
async fn a_signed_token_connects_the_authenticated_socket_and_disconnect_closes_it() {
    let (login, program) = running().await;
    let token = login.run(program.port, &["sign", "2"]).await;
    let (client, _user) = joined(&program, &format!("/auth_socket?token={token}"), "user:2").await;
    assert_eq!(login.run(program.port, &["disconnect", "auth_socket:2"]).await, "ok");
    assert_eq!(close_code(&client).await, Some(1001));
}

#[tokio::test]
async fn a_server_on_its_own_has_no_other_nodes() {
    let (login, program) = running().await;
    assert_eq!(login.run(program.port, &["nodes"]).await, "no other nodes");
}

#[tokio::test]
async fn queued_pushes_arrive_before_a_stopping_server_closes_the_connections() {
    let (login, program) = running().await;
    let token = login.run(program.port, &["sign", "1"]).await;
    let (client, mut user) = joined(&program, &format!("/auth_socket?token={token}"), "user:1").await;
    assert_eq!(login.run(program.port, &["push", "1", r#"{"a": 1e3}"#]).await, "ok");
    assert_eq!(receive(&mut user).await, ("push".to_owned(), json!({ "a": 1e3 })));
    assert_eq!(login.run(program.port, &["push", "1", "--times", "20", "--work-ms", "300"]).await, "ok");
    program.signal(Signal::TERM);
    let mut numbers = Vec::new();
    for _ in 1..=20 {
        let (event, data) = receive(&mut user).await;
        assert_eq!(event, "push");
        numbers.push(data["n"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(close_code(&client).await, Some(1012));
}

#[tokio::test]
async fn data_that_is_not_an_object_is_an_error_of_one_line() {
    let (login, program) = running().await;
    for data in ["[1]", "{nonsense"] {
        let error = login.fail(program.port, &["push_timed", "1", data]).await;
        assert!(error.starts_with("hello_sockets: the data is not a JSON object: "), "{error}");
    }
}

#[tokio::test]
async fn an_invalid_payload_is_an_error_of_one_line_from_the_server() {
    let (login, program) = running().await;
    let fail = async |payload| login.fail(program.port, &["broadcast", "ping", "test", payload]).await;
    assert_eq!(fail("[1]").await, "hello_sockets: a broadcast's payload must be a JSON object or binary data, not [1]");
    let error = fail("{nonsense").await;
    assert!(error.starts_with("hello_sockets: the payload is not a JSON value: "), "{error}");
}

#[tokio::test]
async fn the_error_without_a_server_contains_the_command_that_starts_one() {
    let login = Login::new(HELLO);
    let error = async |port| login.fail(port, &["sign", "1"]).await;
    assert_eq!(error(4000).await, "hello_sockets: no server answers on port 4000: start it with bin/run hello_sockets");
    let expected = "hello_sockets: no server answers on port 4567: start it with PORT=4567 bin/run hello_sockets";
    assert_eq!(error(4567).await, expected);
}

#[tokio::test]
async fn the_error_for_a_port_in_use_contains_a_command_with_another_port() {
    let (login, program) = running().await;
    let (port, next) = (program.port, program.port.checked_add(1).unwrap_or(4000));
    let expected =
        format!("hello_sockets: port {port} is in use: choose another with PORT={next} bin/run hello_sockets");
    assert_eq!(login.fail(port, &[]).await, expected);
}

#[tokio::test]
async fn an_invalid_environment_is_an_error_of_one_line() {
    let login = Login::new(HELLO);
    let error = login.fail_to_start("SECRET_KEY_BASE", "too short").await;
    assert_eq!(
        error,
        "hello_sockets: the secret in the environment variable SECRET_KEY_BASE has 9 bytes, it must have at least 20; \
         make one with: export SECRET_KEY_BASE=$(openssl rand -hex 32)"
    );
    let error = login.fail_to_start("ASSETS", "/nowhere").await;
    assert!(error.starts_with("hello_sockets: could not read the page's files in /nowhere: "), "{error}");
}

#[tokio::test]
async fn the_control_socket_is_private_and_removed_at_the_end() {
    for login in [Login::new(HELLO), Login::without_runtime_directory(HELLO)] {
        let mut program = Program::start(&login, 0).await;
        assert!(!login.run(program.port, &["sign", "1"]).await.is_empty());
        let socket = login.control_socket(program.port);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
        program.signal(Signal::TERM);
        assert_eq!(program.ended().await, Some(0));
        assert!(!socket.exists());
    }
}

#[tokio::test]
async fn the_socket_file_of_a_killed_server_is_replaced() {
    let (login, mut program) = running().await;
    let port = program.port;
    program.signal(Signal::KILL);
    assert_eq!(program.ended().await, None);
    assert!(login.control_socket(port).exists());
    let start = format!("PORT={port} bin/run hello_sockets");
    let expected = format!("hello_sockets: no server answers on port {port}: start it with {start}");
    assert_eq!(login.fail(port, &["sign", "1"]).await, expected);
    let again = Program::start(&login, port).await;
    assert!(!login.run(again.port, &["sign", "1"]).await.is_empty());
}

#[tokio::test]
async fn sigterm_and_ctrl_c_drain_the_clients_and_print_the_result() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_login, mut program) = running().await;
        let (client, _ping) = joined(&program, "/socket", "ping").await;
        program.signal(signal);
        assert_eq!(close_code(&client).await, Some(1012));
        assert_eq!(program.line().await.unwrap(), "Draining 1 connection (Ctrl-C again ends at once)");
        let drained = program.line().await.unwrap();
        assert!(drained.starts_with("Drained 1 connection in ") && drained.ends_with(" s"), "{drained}");
        assert_eq!((program.line().await, program.ended().await), (None, Some(0)));
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_server_without_waiting_for_a_silent_client() {
    let (_login, mut program) = running().await;
    // A client that never reads, and so never replies to a close.
    let mut client = support::client::Client::connect(program.address(), "/socket").await;
    client.dialogue(JOIN_PING).await;
    program.signal(Signal::INT);
    assert_eq!(program.line().await.unwrap(), "Draining 1 connection (Ctrl-C again ends at once)");
    program.signal(Signal::INT);
    assert_eq!((program.line().await, program.ended().await), (None, Some(1)));
}

#[tokio::test]
async fn a_line_past_the_limit_and_one_that_is_not_a_command_are_rejected() {
    let (login, program) = running().await;
    let error = login.fail(program.port, &["broadcast", "ping", "test", &format!("{:?}", "x".repeat(100_000))]).await;
    assert!(error.len() < 1000, "{} bytes of error", error.len());
    for (line, expected) in [
        ("nonsense\n".to_owned(), r#"{"Err":"the line is not a command: "#),
        ("x".repeat(1 << 20), r#"{"Err":"the line is not a command: a line has more than 1048576 bytes"}"#),
    ] {
        let response = exchange(&login.control_socket(program.port), line.as_bytes()).await;
        assert!(response.starts_with(expected), "{response}");
    }
}

async fn exchange(socket: &Path, line: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(line).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

const JOIN_PING: &str = r#"
    > ["1","1","ping","phx_join",{}]
    < ["1","1","ping","phx_reply",{"response":{},"status":"ok"}]
"#;
