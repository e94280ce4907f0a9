//! A server in a separate process, so that its memory and its file descriptors can be measured apart from those of the
//! clients. The process is the same test binary, started with the name of one test and an environment variable that
//! makes this test serve.
//!
//! Parent and child exchange lines: the parent writes a command to the child's standard input, and the child writes a
//! response that begins with `@` to its standard output. The child ends when its standard input is closed, so it never
//! outlives the parent.

use super::channel;
use super::watch::{Log, Metrics};
use bennu::Endpoint;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tracing::Level;

const VARIABLE: &str = "BENNU_TEST_SERVER";

pub const MIB: u64 = 1 << 20;

/// A running child.
pub struct ServerProcess {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub addr: SocketAddr,
}

/// The measurements of a child.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Memory in use and its highest value since the last measurement, in bytes.
    pub resident: u64,
    pub peak: u64,
    pub descriptors: u64,
    pub connections: u64,
    pub channels: u64,
    pub metrics: BTreeMap<String, f64>,
}

impl Stats {
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }
}

impl ServerProcess {
    /// Starts the child; `test` is the name of the test that calls [`serve_in_child`].
    pub fn start(test: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test binary"))
            .args(["--exact", test, "--nocapture"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test binary runs");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let mut server = ServerProcess { process, input, output, addr: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.addr = serde_json::from_value(server.response()).expect("an address");
        server
    }

    pub fn stats(&mut self) -> Stats {
        let stats = self.command("stats");
        let number = |name: &str| stats[name].as_u64().expect("a number");
        Stats {
            resident: number("resident"),
            peak: number("peak"),
            descriptors: number("descriptors"),
            connections: number("connections"),
            channels: number("channels"),
            metrics: serde_json::from_value(stats["metrics"].clone()).expect("a map"),
        }
    }

    /// Returns the log lines so far that contain all these parts.
    pub fn log_with(&mut self, parts: &[&str]) -> Vec<String> {
        let lines: Vec<String> = serde_json::from_value(self.command("log")).expect("lines");
        lines.into_iter().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
    }

    fn command(&mut self, command: &str) -> Value {
        writeln!(self.input, "{command}").expect("the child reads");
        self.response()
    }

    fn response(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("the child writes"), 0, "the child ended");
            // libtest writes its own text before the response, on the same line.
            if let Some((_, response)) = line.split_once('@') {
                return serde_json::from_str(response).expect("JSON");
            }
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until the standard input ends, if this process is the child; otherwise returns at once.
pub fn serve_in_child() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let metrics = Metrics::of(&recorder);
    recorder.install().expect("the only recorder");
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber(Level::WARN)).expect("the only subscriber");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let endpoint = super::endpoint();
    let server = runtime.block_on(super::Server::start(&endpoint, app(&endpoint)));
    respond(&serde_json::to_value(server.addr).expect("an address is text"));
    for line in std::io::stdin().lines() {
        respond(&match line.expect("text").as_str() {
            "stats" => stats(&endpoint, &metrics),
            "log" => json!(log.lines()),
            other => panic!("no such command: {other}"),
        });
    }
}

fn respond(response: &Value) {
    println!("@{response}");
    std::io::stdout().flush().expect("the parent reads");
}

fn stats(endpoint: &Endpoint, metrics: &Metrics) -> Value {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of Linux");
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().expect("a number") * 1024
    };
    let stats = json!({
        "resident": bytes("VmRSS"),
        "peak": bytes("VmHWM"),
        "descriptors": std::fs::read_dir("/proc/self/fd").expect("Linux").count(),
        "connections": endpoint.connection_count(),
        "channels": endpoint.channel_count(),
        "metrics": metrics.all(),
    });
    // Resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    stats
}

/// The application of the child.
fn app(endpoint: &Endpoint) -> axum::Router {
    let open = |path: &str| bennu::socket::<channel::Open>(path);
    axum::Router::new()
        .merge(channel::app(endpoint))
        .merge(open("/compressed").compress(true).router(endpoint).expect("a valid mount"))
        .merge(open("/impatient").timeout(Duration::from_secs(2)).router(endpoint).expect("a valid mount"))
        .merge(axum::Router::new().route("/", axum::routing::get(|| async { "hello" })))
}
