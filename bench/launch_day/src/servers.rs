//! The servers of a day: the database, the broker, the nodes of the store, and nginx in front of the nodes.

use crate::browser::Browser;
use crate::{Broker, Error, LaunchDay, Nodes, TIMEOUT, ledger};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_postgres::Postgres;
use test_program::free_port;
use test_program::server::{Server, start_balancer, start_redis};
use tokio::process::Command;
use tokio::time::timeout;

/// The lines of each node's log in an error.
const LOG_TAIL: usize = 20;

pub(crate) struct Servers {
    store: PathBuf,
    port: u16,
    _nginx: Server,
    nodes: Vec<Node>,
    _redis: Option<Server>,
    database: Database,
    /// The databases' files, and the logs.
    directory: TempDir,
    /// The directory of the nodes' control sockets, whose paths have to be short.
    runtime: TempDir,
}

struct Node {
    name: &'static str,
    port: u16,
    cluster: Option<String>,
    process: Option<Server>,
}

struct Database {
    url: String,
    postgres: Option<Postgres>,
}

impl Servers {
    pub(crate) async fn start(day: &LaunchDay) -> Result<Self, Error> {
        std::fs::create_dir_all(&day.directory)?;
        let directory = tempfile::Builder::new().prefix("launch-day-").tempdir_in(&day.directory)?;
        let runtime = tempfile::Builder::new().prefix("bennu-").tempdir_in("/tmp")?;
        let database = Database::start(day.nodes, directory.path()).await?;
        let (nodes, redis) = match day.nodes {
            Nodes::One => (vec![Node::new("a", free_port(), None)], None),
            Nodes::Two(broker) => two_nodes(broker, directory.path()).await?,
        };
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let (nginx, port) = start_balancer(directory.path(), &ports).await?;
        let store = day.store.clone();
        let mut servers = Servers { store, port, _nginx: nginx, nodes, _redis: redis, database, directory, runtime };
        servers.command(&["seed", "--reset"]).await?;
        ledger::stock(servers.database_url(), day.pairs).await?;
        for node in 0..servers.nodes.len() {
            servers.start_node(node).await?;
        }
        Ok(servers)
    }

    /// Returns the port of nginx.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database.url
    }

    /// Runs a command of the store, to the first node.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Result<(), Error> {
        let output = self.program(&self.nodes[0]).args(arguments).output().await?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("the command {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }

    /// Kills the last node with SIGKILL.
    pub(crate) async fn kill_node(&mut self) -> Result<(), Error> {
        let node = self.nodes.last_mut().and_then(|node| node.process.take());
        Ok(node.ok_or("the node does not run")?.kill().await?)
    }

    /// Starts the last node again.
    pub(crate) async fn start_node_again(&mut self) -> Result<(), Error> {
        self.start_node(self.nodes.len() - 1).await
    }

    /// Returns the database's server; SQLite has none.
    pub(crate) fn postgres(&mut self) -> Option<&mut Postgres> {
        self.database.postgres.as_mut()
    }

    /// Returns the end of each node's log.
    pub(crate) fn logs(&self) -> String {
        let log = |node: &Node| {
            let text = std::fs::read_to_string(self.log(node)).unwrap_or_default();
            let tail = text.lines().skip(text.lines().count().saturating_sub(LOG_TAIL));
            format!("the log of node {}:\n{}", node.name, tail.collect::<Vec<_>>().join("\n"))
        };
        self.nodes.iter().map(log).collect::<Vec<_>>().join("\n")
    }

    /// Starts a node and waits until it serves a page.
    async fn start_node(&mut self, index: usize) -> Result<(), Error> {
        let node = &self.nodes[index];
        let log = File::options().append(true).create(true).open(self.log(node))?;
        let mut command = self.program(node);
        command.stderr(log).env("RUST_LOG", "warn,sneakers_23=info");
        if let Some(cluster) = &node.cluster {
            command.env("CLUSTER", cluster).env("NODE", format!("{}@launch-day", node.name));
        }
        let port = node.port;
        let process = Server::start(command, port).await?;
        self.nodes[index].process = Some(process);
        timeout(TIMEOUT, Browser::new(port).get("/")).await??;
        Ok(())
    }

    fn program(&self, node: &Node) -> Command {
        let mut command = Server::command(&self.store);
        command.current_dir(self.directory.path()).env("XDG_RUNTIME_DIR", self.runtime.path());
        command.env("PORT", node.port.to_string()).env("DATABASE_URL", &self.database.url);
        command
    }

    fn log(&self, node: &Node) -> PathBuf {
        self.directory.path().join(format!("node-{}.log", node.name))
    }
}

impl Node {
    fn new(name: &'static str, port: u16, cluster: Option<String>) -> Self {
        Node { name, port, cluster, process: None }
    }
}

impl Database {
    async fn start(nodes: Nodes, directory: &Path) -> Result<Self, Error> {
        if nodes == Nodes::One {
            return Ok(Database { url: format!("sqlite://{}", directory.join("store.db").display()), postgres: None });
        }
        // The user that runs PostgreSQL enters the directory.
        let postgres = Postgres::builder().directory(directory.parent().unwrap_or(directory)).start().await?;
        Ok(Database { url: postgres.create_database().await, postgres: Some(postgres) })
    }
}

async fn two_nodes(broker: Broker, directory: &Path) -> Result<(Vec<Node>, Option<Server>), Error> {
    let [a, b] = [free_port(), free_port()];
    if broker == Broker::Zenoh {
        let [own, other] = [free_port(), free_port()];
        let address = |own, other| Some(format!("zenoh://127.0.0.1:{own}?connect=127.0.0.1:{other}"));
        return Ok((vec![Node::new("a", a, address(own, other)), Node::new("b", b, address(other, own))], None));
    }
    let (redis, port) = start_redis(directory).await?;
    let address = || Some(format!("redis://127.0.0.1:{port}"));
    Ok((vec![Node::new("a", a, address()), Node::new("b", b, address())], Some(redis)))
}
