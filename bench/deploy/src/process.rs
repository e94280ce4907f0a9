//! The programs of a run: started with a port, ended with SIGTERM, killed when dropped.

use crate::Error;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The time limit for a program to listen, or to end.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(60);

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program and waits until it listens on the port.
    pub(crate) async fn start(command: &mut Command, port: u16) -> Result<Self, Error> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        // Debian installs some servers in directories that only root's PATH has.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let spawned = command.env("PATH", path).kill_on_drop(true).spawn();
        let mut process = Process { child: spawned.map_err(|error| format!("could not start {name}: {error}"))?, name };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Some(status) = process.child.try_wait()? {
                    return Err(format!("{} ended with {status} before it listened", process.name).into());
                }
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        let listening: Result<(), Error> = timeout(PROCESS_TIMEOUT, listening).await?;
        listening?;
        Ok(process)
    }

    /// Sends SIGTERM and waits until the program has ended.
    pub(crate) async fn terminate(mut self) -> Result<(), Error> {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| format!("{} has ended already", self.name))?;
        kill_process(pid, Signal::TERM)?;
        let status = timeout(PROCESS_TIMEOUT, self.child.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", self.name).into()) }
    }
}

/// Returns a free port below the range of outgoing connections, of which a run has thousands.
pub(crate) fn free_port() -> Result<u16, Error> {
    let start = 10_000 + (std::process::id() % 10_000) as u16;
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    for _ in 0..1000 {
        let port = start + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("could not find a free port among 1,000 from {start} on").into())
}

/// Raises the limit of open files to the system's hard limit, for this process and the programs that it starts: each
/// connection is a file.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // When the limit stays too low, the run fails with the error of a connection.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
