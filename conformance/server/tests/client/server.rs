//! The conformance server as a process: tests start it, end it, and send HTTP requests to it.

use crate::soon;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Kept open, since the server may print more.
    _output: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) async fn start() -> Self {
        Server::start_on(0).await
    }

    pub(crate) async fn start_on(port: u16) -> Self {
        Server::run(Command::new(env!("CARGO_BIN_EXE_conformance-server")).arg(port.to_string())).await
    }

    /// Runs a command that starts the server, and waits until the server listens.
    pub(crate) async fn run(command: &mut Command) -> Self {
        let command = command.env("RUST_LOG", "off").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the server's program");
        let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = soon("the server's start", output.next_line()).await.expect("text").expect("it listens");
        let port = line.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok()).expect("its address");
        Server { child, _output: output, port }
    }

    /// Kills the server and returns its port.
    pub(crate) async fn kill(mut self) -> u16 {
        self.child.kill().await.expect("the server runs");
        self.port
    }

    /// Sends SIGTERM, waits until the server has ended, and returns its port.
    pub(crate) async fn terminate(mut self) -> u16 {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().expect("a process id")));
        kill_process(id.expect("the server runs"), Signal::TERM).expect("the server runs");
        soon("the server's end", self.child.wait()).await.expect("its status");
        self.port
    }

    pub(crate) async fn get(&self, target: &str) -> String {
        self.http("GET", target, b"").await
    }

    pub(crate) async fn post(&self, target: &str, body: &[u8]) -> String {
        self.http("POST", target, body).await
    }

    async fn http(&self, method: &str, target: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the server listens");
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the server reads");
        stream.write_all(body).await.expect("the server reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).await.expect("the server responds");
        let (head, body) = response.split_once("\r\n\r\n").expect("HTTP");
        assert!(head.starts_with("HTTP/1.1 200"), "{response}");
        body.to_owned()
    }
}
