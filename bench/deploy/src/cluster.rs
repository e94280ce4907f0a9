//! The servers: Redis, three nodes, and nginx in front of the nodes.

use crate::monitor::Monitor;
use crate::{Error, Plan};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use test_program::free_port;
use test_program::server::{Server, start_balancer, start_redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The names of the nodes.
pub(crate) const NODES: [&str; 3] = ["a@deploy", "b@deploy", "c@deploy"];

pub(crate) struct Cluster {
    server: PathBuf,
    redis_url: String,
    nodes: Vec<Node>,
    port: u16,
    _nginx: Server,
    _redis: Server,
    _directory: TempDir,
}

struct Node {
    port: u16,
    process: Option<Server>,
}

impl Cluster {
    pub(crate) async fn start(plan: &Plan) -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("bennu-deploy-").tempdir()?;
        let (redis, port) = start_redis(directory.path()).await?;
        let redis_url = format!("redis://127.0.0.1:{port}");
        let mut nodes = Vec::new();
        for name in NODES {
            let port = free_port();
            nodes.push(Node { port, process: Some(start_node(&plan.server, name, port, &redis_url).await?) });
        }
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let (nginx, port) = start_balancer(directory.path(), &ports).await?;
        let server = plan.server.clone();
        Ok(Cluster { server, redis_url, nodes, port, _nginx: nginx, _redis: redis, _directory: directory })
    }

    /// Returns the URL of the socket behind nginx.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/socket", self.port)
    }

    /// Sends SIGTERM to a node and waits until it has ended.
    pub(crate) async fn terminate_node(&mut self, node: usize) -> Result<(), Error> {
        Ok(self.nodes[node].process.take().ok_or("the node is not running")?.terminate().await?)
    }

    pub(crate) async fn start_node(&mut self, node: usize) -> Result<(), Error> {
        let port = self.nodes[node].port;
        self.nodes[node].process = Some(start_node(&self.server, NODES[node], port, &self.redis_url).await?);
        Ok(())
    }

    /// Broadcasts markers until one of them has reached every client.
    pub(crate) async fn broadcast_to_all(&self, monitor: &Monitor) -> Result<(), String> {
        loop {
            let number = monitor.next_marker();
            for room in monitor.rooms() {
                self.broadcast(&room, number).await.map_err(|error| error.to_string())?;
            }
            if monitor.all_marked(number, Duration::from_secs(2)).await {
                return Ok(());
            }
        }
    }

    async fn broadcast(&self, topic: &str, number: u64) -> Result<(), Error> {
        let body = json!({ "n": number }).to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let head = format!(
            "POST /broadcast?topic={topic}&event=marker HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        if response.starts_with("HTTP/1.1 200") {
            Ok(())
        } else {
            Err(format!("could not broadcast to {topic}: {response}").into())
        }
    }
}

async fn start_node(server: &Path, name: &str, port: u16, redis_url: &str) -> Result<Server, Error> {
    let mut command = Server::command(server);
    command.arg(port.to_string()).env("NODE", name).env("CLUSTER", redis_url);
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "error");
    }
    Ok(Server::start(command, port).await?)
}
