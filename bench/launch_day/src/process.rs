//! The programs of a day: a program is started and waited for, and killed when dropped.

use crate::{Error, TIMEOUT};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program and waits until it listens on the port.
    pub(crate) async fn start(mut command: Command, port: u16) -> Result<Self, Error> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let spawned = command.kill_on_drop(true).spawn();
        let mut process = Process { child: spawned.map_err(|error| format!("could not start {name}: {error}"))?, name };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Some(status) = process.child.try_wait()? {
                    return Err(format!("{} ended with {status} before it listened", process.name).into());
                }
                sleep(Duration::from_millis(5)).await;
            }
            Ok::<_, Error>(())
        };
        timeout(TIMEOUT, listening).await??;
        Ok(process)
    }

    /// Kills the program with SIGKILL and waits for its end.
    pub(crate) async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(|error| format!("could not kill {}: {error}", self.name).into())
    }
}

/// Raises the limit of open files to the system's hard limit, for this process and the programs that it starts: each
/// connection is a file.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // When the limit stays too low, the run fails with the error of a connection.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
