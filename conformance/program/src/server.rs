//! The servers beside an application, such as `redis-server` and nginx: started, waited for, and killed when dropped.
//!
//! Benchmarks and tests start them on ports of their own. An error is a text that names the program.

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The time limit for a server to listen, or to end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
}

/// The directories that have servers and are not in everybody's `PATH`, on Debian.
const MORE_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

impl Server {
    /// Returns whether a program is installed.
    pub fn is_installed(program: &str) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories = std::env::split_paths(&path).chain(MORE_DIRECTORIES.map(PathBuf::from));
        directories.any(|directory| directory.join(program).exists())
    }

    /// Returns a command without input and output. It is also found in the directories of Debian's servers.
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:{}", MORE_DIRECTORIES.join(":")));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts a program and waits until it listens on a port of 127.0.0.1.
    ///
    /// # Errors
    /// When the program is not installed, ends before it listens, or does not listen within a minute.
    pub async fn start(mut command: Command, port: u16) -> Result<Self, String> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let spawned = command.kill_on_drop(true).spawn();
        let child = spawned.map_err(|error| format!("could not start {name}: {error}"))?;
        let mut server = Server { name, child };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Ok(Some(status)) = server.child.try_wait() {
                    return Err(format!("{} ended with {status} before it listened", server.name));
                }
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        let listening = timeout(TIMEOUT, listening).await;
        listening.unwrap_or_else(|_| Err(format!("the program does not listen on port {port} after {TIMEOUT:?}")))?;
        Ok(server)
    }

    /// Sends SIGTERM, and waits until the program has ended.
    ///
    /// # Errors
    /// When it does not end within a minute, or not with success.
    pub async fn terminate(mut self) -> Result<(), String> {
        let name = &self.name;
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| format!("{name} has ended already"))?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("could not terminate {name}: {error}"))?;
        match timeout(TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("{name} ended with {status}")),
            Ok(Err(error)) => Err(format!("could not wait for {name}: {error}")),
            Err(_) => Err(format!("{name} did not end within {TIMEOUT:?}")),
        }
    }

    /// Kills the program with SIGKILL, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("could not kill {}: {error}", self.name))
    }
}

/// Starts a Redis server that stores nothing, on a free port, with `directory` as its working directory. Returns the
/// port too.
///
/// # Errors
/// As [`Server::start`].
pub async fn start_redis(directory: &Path) -> Result<(Server, u16), String> {
    let port = crate::free_port();
    let mut command = Server::command("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""]);
    command.current_dir(directory);
    Ok((Server::start(command, port).await?, port))
}

/// Starts nginx on a port, with this configuration and its files in `directory`. The configuration must keep it a single
/// process in the foreground, which a kill ends: `daemon off; master_process off;`.
///
/// # Errors
/// As [`Server::start`], and when the directory cannot be written.
pub async fn start_nginx(directory: &Path, configuration: &str, port: u16) -> Result<Server, String> {
    let file = directory.join("nginx.conf");
    let written = std::fs::write(&file, configuration);
    written.map_err(|error| format!("could not write {}: {error}", file.display()))?;
    let mut command = Server::command("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(&file).args(["-e", "stderr"]);
    Server::start(command, port).await
}

/// Starts nginx in front of nodes, on a free port, and returns the port too. It passes WebSockets, sends a request that
/// one node did not get to another, and never marks a node that restarts as failed. A POST that a node may have got is
/// not repeated.
///
/// # Errors
/// As [`start_nginx`].
pub async fn start_balancer(directory: &Path, nodes: &[u16]) -> Result<(Server, u16), String> {
    let port = crate::free_port();
    let servers: String = nodes.iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0; ")).collect();
    let folder = directory.display();
    let configuration = format!(
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
                     client_max_body_size 10m;
                 }}
             }}
         }}"
    );
    Ok((start_nginx(directory, &configuration, port).await?, port))
}

/// Raises the limit of open files to the system's hard limit, for this process and the programs that it starts: each
/// connection is a file.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // When the limit stays too low, a run fails with the error of a connection.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
