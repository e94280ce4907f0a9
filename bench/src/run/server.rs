//! The measured servers as child processes on free ports.
//!
//! The coordinator starts them. Invariant: the drop of a [`RunningServer`] kills the server by its process id and waits
//! for its end, on every path; the kernel kills the server when the coordinator is killed.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{self, Cores};

/// The longest wait for a server to accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The environment variable with which the conformance server installs a recorder.
const INSTRUMENTS: &str = "CONFORMANCE_INSTRUMENTS";
/// The placeholder of the port in a peer's command.
const PORT: &str = "{port}";

/// The command that starts a server.
pub(super) struct ServerCommand {
    /// The server's name in the table.
    pub(super) name: String,
    /// Whether the targets apply to this server.
    pub(super) tested: bool,
    /// Whether this is the second run of the server under test, with its instruments on.
    pub(super) instrumented: bool,
    program: String,
    /// The arguments; `{port}` is replaced by the port.
    arguments: Vec<String>,
}

impl ServerCommand {
    /// Returns the raw loop of this binary: as the baseline, or as the server under test, which shows the noise of the
    /// figures.
    ///
    /// # Errors
    ///
    /// The path of this program is unknown.
    pub(super) fn raw(name: &str, tested: bool) -> io::Result<Self> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let arguments = vec!["raw-server".to_owned(), PORT.to_owned()];
        Ok(Self { name: name.to_owned(), tested, instrumented: false, program, arguments })
    }

    /// Returns the server under test, a program with the port as its argument.
    ///
    /// # Errors
    ///
    /// The file does not exist.
    pub(super) fn tested(path: &str) -> io::Result<Self> {
        if !Path::new(path).is_file() {
            return Err(io::Error::other(format!(
                "could not find {path}: run cargo build --release -p conformance-server, or pass --server PATH"
            )));
        }
        let (program, arguments) = (path.to_owned(), vec![PORT.to_owned()]);
        Ok(Self { name: "bennu".to_owned(), tested: true, instrumented: false, program, arguments })
    }

    /// Returns the server under test with its instruments on, for a comparison with the same server without.
    pub(super) fn instrumented(tested: &Self) -> Self {
        let (program, arguments) = (tested.program.clone(), tested.arguments.clone());
        Self { name: "measured".to_owned(), tested: false, instrumented: true, program, arguments }
    }

    /// Parses `NAME=CMD`: any server with the same mount and channel, for comparison. The command is split at blanks
    /// and started without a shell, so that its process id is the server's.
    ///
    /// # Errors
    ///
    /// The text has another form.
    pub(super) fn peer(text: &str) -> io::Result<Self> {
        let bad = || io::Error::other(format!("--peer {text} is not of the form NAME=CMD"));
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
    /// Starts the server on a free port and these cores, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// The server does not start, ends, or does not accept within 30 s.
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
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = running.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended before it accepted connections: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("the server does not listen on port {port} after 30 s")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Returns the process id. `guarded` replaces itself by the server, so it is the child's.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Both calls fail only when the server has already ended.
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
    fn a_peers_port_replaces_its_placeholder_or_is_the_last_argument() {
        let peer = ServerCommand::peer("phoenix=env PORT={port} bin/server").unwrap();
        assert_eq!((peer.name.as_str(), peer.program.as_str()), ("phoenix", "env"));
        assert_eq!(peer.arguments, ["PORT={port}", "bin/server"]);
        let peer = ServerCommand::peer("other=./server --fast").unwrap();
        assert_eq!(peer.arguments, ["--fast", "{port}"]);
        assert!(ServerCommand::peer("other").is_err());
        assert!(ServerCommand::peer("other=").is_err());
    }
}
