//! The engine of a measurement, and its server.

use bennu_pubsub_cluster::conformance::process::{Process, Program, free_port};

#[derive(Clone, Copy)]
pub(crate) enum Engine {
    Redis,
    Nats,
    /// The two sides connect to each other.
    Zenoh,
}

/// A running server.
pub(crate) enum Server {
    Redis(Process<Redis>),
    Nats(Process<Nats>),
    Nobody,
}

pub(crate) struct Redis;

impl Program for Redis {
    const NAME: &'static str = "redis-server";
}

pub(crate) struct Nats;

impl Program for Nats {
    const NAME: &'static str = "nats-server";
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Redis => "redis",
            Engine::Nats => "nats",
            Engine::Zenoh => "zenoh",
        }
    }

    /// Starts the server on a free port. `None` when it is not installed.
    pub(crate) fn start(self) -> Option<Server> {
        let port = free_port();
        let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Engine::Redis => {
                let mut arguments = words(format!("--port {port} --bind 127.0.0.1 --appendonly no --save"));
                arguments.push(String::new());
                Process::start_with(port, arguments).map(Server::Redis)
            }
            Engine::Nats => Process::start_with(port, words(format!("-a 127.0.0.1 -p {port}"))).map(Server::Nats),
            Engine::Zenoh => Some(Server::Nobody),
        }
    }
}

impl Server {
    /// Returns the port of the server; without a server, a port on which a side may listen.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Server::Redis(process) => process.port(),
            Server::Nats(process) => process.port(),
            Server::Nobody => free_port(),
        }
    }
}
