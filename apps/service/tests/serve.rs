//! A service from its listener to its drain, stopped by real signals to the test's own process.

use app_service::control::{self, RequestError};
use app_service::serve::{ServeError, Service};
use axum::Router;
use axum::routing::get;
use bennu::Endpoint;
use bennu::token::Secret;
use rustix::process::{Signal, getpid, kill_process};
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);
const APP: &str = "app_service_test";

/// Held by each test: a signal reaches all services of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn listening() -> Service {
    Service::listen(APP, "Test", (Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// Runs a service with a page at `/`, and waits until it serves: its signal handlers are installed then.
async fn running(service: Service) -> (SocketAddr, JoinHandle<Result<(), ServeError>>) {
    let address = service.address();
    let endpoint = Endpoint::new(Secret::new("a secret that only this test has").unwrap());
    let router = Router::new().route("/", get(async || "served"));
    let running = tokio::spawn(async move { service.run(router, &endpoint).await });
    assert!(page(address).await.ends_with("served"));
    (address, running)
}

async fn page(address: SocketAddr) -> String {
    let response = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    };
    timeout(DEADLINE, response).await.expect("no response arrived before the deadline")
}

fn send(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

async fn ended(running: JoinHandle<Result<(), ServeError>>) -> Result<(), ServeError> {
    timeout(DEADLINE, running).await.expect("the service did not end before the deadline").unwrap()
}

#[tokio::test]
async fn a_service_answers_pages_and_commands_until_a_signal() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for signal in [Signal::TERM, Signal::INT] {
        let service = listening().commands(async |name: String| Ok(format!("hello {name}")));
        let (address, running) = running(service).await;
        assert_eq!(control::send(APP, address.port(), "you").await.unwrap(), "hello you");
        send(signal);
        ended(running).await.unwrap();
        let after = control::send(APP, address.port(), "you").await;
        assert!(matches!(after, Err(RequestError::NotRunning { .. })), "{after:?}");
    }
}

#[tokio::test]
async fn the_work_before_the_close_runs_while_pages_are_still_served() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (begun, has_begun) = oneshot::channel();
    let (finish, may_finish) = oneshot::channel();
    let service = listening().before_close(async move {
        begun.send(()).unwrap();
        may_finish.await.unwrap();
    });
    let (address, running) = running(service).await;
    send(Signal::TERM);
    timeout(DEADLINE, has_begun).await.expect("the work did not begin before the deadline").unwrap();
    assert!(page(address).await.ends_with("served"));
    finish.send(()).unwrap();
    ended(running).await.unwrap();
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (begun, has_begun) = oneshot::channel();
    let service = listening().before_close(async move {
        begun.send(()).unwrap();
        pending().await
    });
    let (_, running) = running(service).await;
    send(Signal::TERM);
    timeout(DEADLINE, has_begun).await.expect("the work did not begin before the deadline").unwrap();
    send(Signal::INT);
    let error = ended(running).await.unwrap_err();
    assert_eq!(error.to_string(), "stopped by a second signal, with 0 connections open");
}

#[tokio::test]
async fn the_error_for_a_port_in_use_contains_a_command_with_another_port() {
    let service = listening();
    let port = service.address().port();
    let error = Service::listen(APP, "Test", (Ipv4Addr::LOCALHOST, port)).unwrap_err();
    let next = port.checked_add(1).unwrap_or(4000);
    let expected = format!("port {port} is in use: choose another with PORT={next} bin/run app_service_test");
    assert_eq!(error.to_string(), expected);
}
