//! A real nginx between the page and the server, which forwards no WebSocket: see `clients/proxy.conf`.

use super::DEADLINE;
use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const CONFIGURATION: &str = include_str!("../../../../clients/proxy.conf");

/// A running nginx. Dropping it ends the process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    _child: Child,
    _directory: TempDir,
}

impl Proxy {
    /// Starts nginx in front of a server's port; `Err` contains the missing program.
    pub(crate) async fn start(server: u16) -> Result<Self, String> {
        let nginx = program()?;
        let directory = tempfile::Builder::new().prefix("bennu-nginx-").tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let configuration = CONFIGURATION
            .replace("@DIR@", directory.path().to_str().expect("a path in UTF-8"))
            .replace("@PORT@", &port.to_string())
            .replace("@SERVER@", &server.to_string());
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(nginx);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file).kill_on_drop(true);
        // nginx logs an unreachable server, and the tests stop the server on purpose.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "nginx ended before it listened");
            assert!(Instant::now() < deadline, "nginx does not listen");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Proxy { port, _child: child, _directory: directory })
    }
}

/// Returns the path of nginx. Debian installs it in a directory of root's `PATH` only.
fn program() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).map(|place| place.join("nginx"));
    programs.find(|program| Path::exists(program)).ok_or_else(|| "could not find nginx in the PATH".to_owned())
}
