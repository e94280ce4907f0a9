//! The servers under measurement, as child processes on free ports.
//!
//! Invariant: a server that was started is killed by its process id and waited for when its
//! [`RunningServer`] is dropped, on every path; and the kernel kills it if the conductor itself is killed.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{self, Cores};

/// How long a server may take until it accepts connections.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// What the conformance server looks at: whether it installs a recorder.
const INSTRUMENTS: &str = "CONFORMANCE_INSTRUMENTS";
/// Where a peer's command wants its port.
const PORT: &str = "{port}";

/// How a server is started.
pub(super) struct ServerCommand {
    /// What the table calls it.
    pub(super) name: String,
    /// Whether the targets are for this one.
    pub(super) tested: bool,
    /// Whether it is the server under test once more, with its instruments on.
    pub(super) instrumented: bool,
    program: String,
    /// `{port}` stands for the port.
    arguments: Vec<String>,
}

impl ServerCommand {
    /// This binary's own raw loop: as the yardstick, or as the server under test, which shows how
    /// much the figures wander.
    ///
    /// # Errors
    ///
    /// This program's path is unknown.
    pub(super) fn raw(name: &str, tested: bool) -> io::Result<Self> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let arguments = vec!["raw-server".to_owned(), PORT.to_owned()];
        Ok(Self { name: name.to_owned(), tested, instrumented: false, program, arguments })
    }

    /// The server that the targets are for: a program that takes a port.
    ///
    /// # Errors
    ///
    /// There is no such file.
    pub(super) fn tested(path: &str) -> io::Result<Self> {
        if !Path::new(path).is_file() {
            return Err(io::Error::other(format!(
                "{path} is not there: cargo build --release -p conformance-server, or --server PATH"
            )));
        }
        let (program, arguments) = (path.to_owned(), vec![PORT.to_owned()]);
        Ok(Self { name: "bennu".to_owned(), tested: true, instrumented: false, program, arguments })
    }

    /// The server under test with its instruments on, to be held against itself without.
    pub(super) fn instrumented(tested: &Self) -> Self {
        let (program, arguments) = (tested.program.clone(), tested.arguments.clone());
        Self { name: "measured".to_owned(), tested: false, instrumented: true, program, arguments }
    }

    /// `NAME=CMD`: any server with the same mount and channel, for comparison. The command is split at blanks
    /// and started without a shell, so that its process id is the server's.
    ///
    /// # Errors
    ///
    /// It is not of that form.
    pub(super) fn peer(text: &str) -> io::Result<Self> {
        let bad = || io::Error::other(format!("--peer {text}: it must be NAME=CMD"));
        let (name, command) = text.split_once('=').ok_or_else(bad)?;
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or_else(bad)?;
        let mut arguments: Vec<String> = words.collect();
        if !arguments.iter().any(|argument| argument.contains(PORT)) {
            arguments.push(PORT.to_owned());
        }
        Ok(Self { name: name.to_owned(), tested: false, instrumented: false, program, arguments })
    }
}

/// A server that accepts connections.
pub(super) struct RunningServer {
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    child: Child,
}

impl RunningServer {
    /// Starts it on a free port and these cores and waits until it accepts.
    ///
    /// # Errors
    ///
    /// It does not start, ends, or does not accept within 30 s.
    pub(super) fn start(server: &ServerCommand, cores: Cores) -> io::Result<Self> {
        let port = free_port()?;
        let mut command = process::guarded(cores, &server.program)?;
        let arguments = server.arguments.iter();
        command.args(arguments.map(|argument| argument.replace(PORT, &port.to_string())));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if server.instrumented {
            command.env(INSTRUMENTS, "1");
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error"); // a line per connection would be measured too
        }
        let mut running = Self { port, child: command.spawn()? };
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = running.child.try_wait()? {
                return Err(io::Error::other(format!("it ended at once: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("it does not listen on port {port}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Its process id: `guarded` becomes the server by exec, so it is the child's.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_port_goes_where_it_says_or_to_the_end() {
        let peer = ServerCommand::peer("phoenix=env PORT={port} bin/server").unwrap();
        assert_eq!((peer.name.as_str(), peer.program.as_str()), ("phoenix", "env"));
        assert_eq!(peer.arguments, ["PORT={port}", "bin/server"]);
        let peer = ServerCommand::peer("other=./server --fast").unwrap();
        assert_eq!(peer.arguments, ["--fast", "{port}"]);
        assert!(ServerCommand::peer("other").is_err());
        assert!(ServerCommand::peer("other=").is_err());
    }
}
