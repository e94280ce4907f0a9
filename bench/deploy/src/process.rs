//! Programs that run beside: killed when dropped, told to end with SIGTERM.

use crate::Error;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a program may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(command: &mut Command, port: u16) -> Result<Self, Error> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        // Debian has some servers where only root's PATH leads.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let spawned = command.env("PATH", path).kill_on_drop(true).spawn();
        let mut process = Process { child: spawned.map_err(|error| format!("{name} does not start: {error}"))?, name };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Some(status) = process.child.try_wait()? {
                    return Err(format!("{} ended: {status}", process.name).into());
                }
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        let listening: Result<(), Error> = timeout(PATIENCE, listening).await?;
        listening?;
        Ok(process)
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn terminate(mut self) -> Result<(), Error> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("it has ended already")?;
        kill_process(pid, Signal::TERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("{} ended: {status}", self.name).into()) }
    }
}

/// A port that nobody listens on, below those that are given to outgoing connections, of which there are thousands here.
pub(crate) fn free_port() -> Result<u16, Error> {
    let start = 10_000 + (std::process::id() % 10_000) as u16;
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    for _ in 0..1000 {
        let port = start + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("of 1,000 ports none is free".into())
}

/// Thousands of connections need as many files, here and in every program started from here.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Refused, the run ends with an error of its own.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
