//! The servers: Redis, three nodes, and nginx before them.

use crate::board::Board;
use crate::process::{Process, free_port};
use crate::{Error, Plan};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The nodes' names.
pub(crate) const NODES: [&str; 3] = ["a@deploy", "b@deploy", "c@deploy"];

pub(crate) struct Site {
    server: PathBuf,
    cluster: String,
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

impl Site {
    pub(crate) async fn start(plan: &Plan) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let port = free_port()?;
        let mut command = quiet("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""]);
        let redis = Process::start(command.current_dir(&folder.0), port).await?;
        let cluster = format!("redis://127.0.0.1:{port}");
        let mut nodes = Vec::new();
        for name in NODES {
            let port = free_port()?;
            nodes.push(Node { port, process: Some(run(&plan.server, name, port, &cluster).await?) });
        }
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let (nginx, port) = nginx(&folder.0, &ports).await?;
        let server = plan.server.clone();
        Ok(Site { server, cluster, nodes, port, _nginx: nginx, _redis: redis, _folder: folder })
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/socket", self.port)
    }

    /// Tells a node to end, and waits until it has.
    pub(crate) async fn end(&mut self, node: usize) -> Result<(), Error> {
        self.nodes[node].process.take().ok_or("it does not run")?.terminate().await
    }

    pub(crate) async fn run(&mut self, node: usize) -> Result<(), Error> {
        let port = self.nodes[node].port;
        self.nodes[node].process = Some(run(&self.server, NODES[node], port, &self.cluster).await?);
        Ok(())
    }

    /// Broadcasts until everybody has got one and the same broadcast.
    pub(crate) async fn reach_all(&self, board: &Board) -> Result<(), String> {
        loop {
            let number = board.next_marker();
            for room in board.rooms() {
                self.broadcast(&room, number).await.map_err(|error| error.to_string())?;
            }
            if board.all_marked(number, Duration::from_secs(2)).await {
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
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer.into()) }
    }
}

async fn run(server: &Path, name: &str, port: u16, cluster: &str) -> Result<Process, Error> {
    let mut command = Command::new(server);
    command.arg(port.to_string()).env("NODE", name).env("CLUSTER", cluster);
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "error");
    }
    Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()), port).await
}

/// What a deploy needs of a proxy: WebSockets pass, who cannot be served by one node is served by another, and no node is
/// taken for dead because it restarts. One process, so that it is gone when that is killed.
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

/// A folder for the servers; gone when dropped.
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
