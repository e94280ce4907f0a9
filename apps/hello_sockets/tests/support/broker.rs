//! Brokers for the nodes of a cluster: real servers, each on a port of its own.

use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};

/// A running broker. Dropping it kills the process.
pub(crate) struct Broker<P: Program> {
    /// The value of `CLUSTER`.
    pub(crate) address: String,
    _process: Process<P>,
}

pub(crate) struct Redis;

impl Program for Redis {
    const NAME: &'static str = "redis-server";
}

pub(crate) struct Nats;

impl Program for Nats {
    const NAME: &'static str = "nats-server";
}

/// Starts Redis; prints a line and returns `None` when it is not installed.
pub(crate) fn redis() -> Option<Broker<Redis>> {
    start("redis", |port| {
        ["--port", port, "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""].map(str::to_owned).to_vec()
    })
}

/// Starts NATS; otherwise as [`redis`].
pub(crate) fn nats() -> Option<Broker<Nats>> {
    start("nats", |port| ["-a", "127.0.0.1", "-p", port].map(str::to_owned).to_vec())
}

fn start<P: Program>(scheme: &str, arguments: impl Fn(&str) -> Vec<String>) -> Option<Broker<P>> {
    let port = free_port();
    let process = Process::start_with(port, arguments(&port.to_string()))?;
    Some(Broker { address: format!("{scheme}://127.0.0.1:{port}"), _process: process })
}
