//! A server in a process of its own, so that its memory and its file descriptors can be measured apart from those of the
//! clients. It is this very test binary, run again with one test and a variable that makes that test serve.
//!
//! Parent and child talk in lines: a command to its standard input, an answer that begins with `@` from its standard
//! output. The child ends with its standard input, so it never outlives the parent.

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

/// What a child says of itself.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Memory in use and its highest value since the last question, in bytes.
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
    /// Starts the child; `test` is the name of the test that calls [`serve_if_asked`].
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
        server.addr = serde_json::from_value(server.answer()).expect("an address");
        server
    }

    pub fn stats(&mut self) -> Stats {
        let answer = self.ask("stats");
        let number = |name: &str| answer[name].as_u64().expect("a number");
        Stats {
            resident: number("resident"),
            peak: number("peak"),
            descriptors: number("descriptors"),
            connections: number("connections"),
            channels: number("channels"),
            metrics: serde_json::from_value(answer["metrics"].clone()).expect("a map"),
        }
    }

    /// The log lines so far that have all these parts.
    pub fn log_with(&mut self, parts: &[&str]) -> Vec<String> {
        let lines: Vec<String> = serde_json::from_value(self.ask("log")).expect("lines");
        lines.into_iter().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.input, "{command}").expect("the child reads");
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("the child writes"), 0, "the child ended");
            // libtest writes its own words before ours, on the same line.
            if let Some((_, answer)) = line.split_once('@') {
                return serde_json::from_str(answer).expect("JSON");
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

/// In the child: serves until its standard input ends. In any other process: nothing.
pub fn serve_if_asked() {
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
    say(&serde_json::to_value(server.addr).expect("an address is text"));
    for line in std::io::stdin().lines() {
        say(&match line.expect("text").as_str() {
            "stats" => stats(&endpoint, &metrics),
            "log" => json!(log.lines()),
            other => panic!("no such command: {other}"),
        });
    }
}

fn say(answer: &Value) {
    println!("@{answer}");
    std::io::stdout().flush().expect("the parent reads");
}

fn stats(endpoint: &Endpoint, metrics: &Metrics) -> Value {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of Linux");
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().expect("a number") * 1024
    };
    let answer = json!({
        "resident": bytes("VmRSS"),
        "peak": bytes("VmHWM"),
        "descriptors": std::fs::read_dir("/proc/self/fd").expect("Linux").count(),
        "connections": endpoint.connection_count(),
        "channels": endpoint.channel_count(),
        "metrics": metrics.all(),
    });
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    answer
}

/// The child's mounts.
fn app(endpoint: &Endpoint) -> axum::Router {
    let open = |path: &str| bennu::socket::<channel::Open>(path);
    axum::Router::new()
        .merge(channel::app(endpoint))
        .merge(open("/compressed").compress(true).router(endpoint).expect("a good mount"))
        .merge(open("/impatient").timeout(Duration::from_secs(2)).router(endpoint).expect("a good mount"))
        .merge(axum::Router::new().route("/", axum::routing::get(|| async { "hello" })))
}
