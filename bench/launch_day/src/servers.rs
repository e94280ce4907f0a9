//! The servers of a day: the database, the broker, the nodes of the store, and nginx in front of the nodes.

use crate::browser::Browser;
use crate::process::Process;
use crate::{Broker, Error, LaunchDay, Nodes, TIMEOUT, ledger};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use test_postgres::Postgres;
use test_program::free_port;
use tokio::process::Command;
use tokio::time::timeout;

/// The lines of each node's log in an error.
const LOG_TAIL: usize = 20;

pub(crate) struct Servers {
    store: PathBuf,
    port: u16,
    _nginx: Process,
    nodes: Vec<Node>,
    _redis: Option<Process>,
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
    process: Option<Process>,
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
        let (nginx, port) = start_nginx(directory.path(), &ports).await?;
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
        node.ok_or("the node does not run")?.kill().await
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
        let process = Process::start(command, port).await?;
        self.nodes[index].process = Some(process);
        timeout(TIMEOUT, Browser::new(port).get("/")).await??;
        Ok(())
    }

    fn program(&self, node: &Node) -> Command {
        let mut command = quiet(&self.store);
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

async fn two_nodes(broker: Broker, directory: &Path) -> Result<(Vec<Node>, Option<Process>), Error> {
    let [a, b] = [free_port(), free_port()];
    if broker == Broker::Zenoh {
        let [own, other] = [free_port(), free_port()];
        let address = |own, other| Some(format!("zenoh://127.0.0.1:{own}?connect=127.0.0.1:{other}"));
        return Ok((vec![Node::new("a", a, address(own, other)), Node::new("b", b, address(other, own))], None));
    }
    let port = free_port();
    let mut command = quiet("redis-server");
    command.current_dir(directory).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--appendonly", "no", "--save", ""]);
    let redis = Process::start(command, port).await?;
    let address = || Some(format!("redis://127.0.0.1:{port}"));
    Ok((vec![Node::new("a", a, address()), Node::new("b", b, address())], Some(redis)))
}

/// Starts nginx. A request that a dead node did not get goes to the other; a POST that a node may have got is not
/// repeated, so that the shopper gets an error and pays again. It is a single process, which a kill ends.
async fn start_nginx(directory: &Path, nodes: &[u16]) -> Result<(Process, u16), Error> {
    let port = free_port();
    let servers: String = nodes.iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0; ")).collect();
    let folder = directory.display();
    let config = format!(
        "pid {folder}/nginx.pid;
         error_log stderr crit;
         daemon off;
         master_process off;
         worker_rlimit_nofile 20000;
         events {{ worker_connections 18000; }}
         http {{
             access_log off;
             client_body_temp_path {folder}/body;
             proxy_temp_path {folder}/proxy;
             fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi;
             scgi_temp_path {folder}/scgi;
             keepalive_requests 100000;
             map $http_upgrade $upgrade {{ default upgrade; '' ''; }}
             upstream nodes {{ least_conn; {servers} keepalive 64; }}
             server {{
                 listen 127.0.0.1:{port} backlog=4096;
                 location / {{
                     proxy_pass http://nodes;
                     proxy_http_version 1.1;
                     proxy_set_header Host $http_host;
                     proxy_set_header Upgrade $http_upgrade;
                     proxy_set_header Connection $upgrade;
                     proxy_next_upstream error timeout http_503;
                     proxy_read_timeout 120s;
                 }}
             }}
         }}"
    );
    std::fs::write(directory.join("nginx.conf"), config)?;
    let mut command = quiet("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf")).args(["-e", "stderr"]);
    Ok((Process::start(command, port).await?, port))
}

/// Returns a command without input and output. Debian installs some servers in directories that only root's PATH has.
fn quiet(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin")).stdin(Stdio::null()).stdout(Stdio::null());
    command
}
