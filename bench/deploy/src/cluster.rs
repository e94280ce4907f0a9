//! The servers: Redis, three nodes, and nginx in front of the nodes.

use crate::monitor::Monitor;
use crate::process::{Process, free_port};
use crate::{Error, Plan};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The names of the nodes.
pub(crate) const NODES: [&str; 3] = ["a@deploy", "b@deploy", "c@deploy"];

pub(crate) struct Cluster {
    server: PathBuf,
    redis_url: String,
    nodes: Vec<Node>,
    port: u16,
    _nginx: Process,
    _redis: Process,
    _folder: Folder,
}

struct Node {
    port: u16,
    process: Option<Process>,
}

impl Cluster {
    pub(crate) async fn start(plan: &Plan) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let port = free_port()?;
        let mut command = quiet("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""]);
        let redis = Process::start(command.current_dir(&folder.0), port).await?;
        let redis_url = format!("redis://127.0.0.1:{port}");
        let mut nodes = Vec::new();
        for name in NODES {
            let port = free_port()?;
            nodes.push(Node { port, process: Some(start_node(&plan.server, name, port, &redis_url).await?) });
        }
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let (nginx, port) = nginx(&folder.0, &ports).await?;
        let server = plan.server.clone();
        Ok(Cluster { server, redis_url, nodes, port, _nginx: nginx, _redis: redis, _folder: folder })
    }

    /// Returns the URL of the socket behind nginx.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/socket", self.port)
    }

    /// Sends SIGTERM to a node and waits until it has ended.
    pub(crate) async fn terminate_node(&mut self, node: usize) -> Result<(), Error> {
        self.nodes[node].process.take().ok_or("the node is not running")?.terminate().await
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

async fn start_node(server: &Path, name: &str, port: u16, redis_url: &str) -> Result<Process, Error> {
    let mut command = Command::new(server);
    command.arg(port.to_string()).env("NODE", name).env("CLUSTER", redis_url);
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "error");
    }
    Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()), port).await
}

/// Starts nginx with the settings that a rolling restart needs: it passes WebSockets, repeats a request that one node
/// cannot serve at another node, and never marks a restarting node as failed. It is a single process, which a kill
/// ends.
async fn nginx(folder: &Path, nodes: &[u16]) -> Result<(Process, u16), Error> {
    let port = free_port()?;
    let servers: String = nodes.iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0; ")).collect();
    let folder = folder.display();
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
                     client_max_body_size 10m;
                 }}
             }}
         }}"
    );
    std::fs::write(format!("{folder}/nginx.conf"), config)?;
    let mut command = quiet("nginx");
    command.args(["-p", &folder.to_string(), "-c", &format!("{folder}/nginx.conf"), "-e", "stderr"]);
    Ok((Process::start(&mut command, port).await?, port))
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A temporary folder for the servers, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("bennu-deploy-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
