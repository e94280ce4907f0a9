//! The program as a user runs it: a server on a port of its own with a directory of its own for its control socket, and
//! commands to it.

use super::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The runtime directory of one login, in which server and commands find the control socket.
pub(crate) struct Login {
    directory: TempDir,
    has_runtime_directory: bool,
}

impl Login {
    pub(crate) fn new() -> Self {
        // A short path, since that of a Unix socket has about a hundred bytes at most.
        let directory = tempfile::Builder::new().prefix("hello-").tempdir_in("/tmp").unwrap();
        Login { directory, has_runtime_directory: true }
    }

    /// Creates a login with a directory for temporary files only, as on a machine without systemd.
    pub(crate) fn without_runtime_directory() -> Self {
        Login { has_runtime_directory: false, ..Self::new() }
    }

    pub(crate) fn control_socket(&self, port: u16) -> PathBuf {
        let directory = match self.has_runtime_directory {
            true => "bennu".to_owned(),
            false => format!("bennu-{}", rustix::process::geteuid().as_raw()),
        };
        self.directory.path().join(directory).join(format!("hello_sockets-{port}.sock"))
    }

    /// Runs a command to the server on a port, which must succeed, and returns its output.
    pub(crate) async fn run(&self, port: u16, args: &[&str]) -> String {
        let output = output_of(self.program(port).args(args)).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs a command, which must fail with one line and exit code 1, and returns the line.
    pub(crate) async fn fail(&self, port: u16, args: &[&str]) -> String {
        failure(output_of(self.program(port).args(args)).await)
    }

    /// Starts a server with this variable, which must fail as in [`Login::fail`], and returns the line.
    pub(crate) async fn fail_to_start(&self, variable: &str, value: &str) -> String {
        self.fail_to_start_with(&[(variable, value)]).await
    }

    /// Like [`Login::fail_to_start`], with several variables.
    pub(crate) async fn fail_to_start_with(&self, variables: &[(&str, &str)]) -> String {
        failure(output_of(self.program(0).envs(variables.iter().copied())).await)
    }

    fn program(&self, port: u16) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hello_sockets"));
        program
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("NODE")
            .env_remove("CLUSTER")
            .env(if self.has_runtime_directory { "XDG_RUNTIME_DIR" } else { "TMPDIR" }, self.directory.path())
            .env("PORT", port.to_string())
            .env("SECRET_KEY_BASE", "the same secret for a restarted server")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        program
    }
}

/// A running server. Dropping it kills the process.
pub(crate) struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Program {
    /// Starts a server and waits until it listens. Port 0 selects a free port.
    pub(crate) async fn start(login: &Login, port: u16) -> Self {
        Program::start_with(login, port, &[]).await
    }

    /// Like [`Program::start`], with these environment variables.
    pub(crate) async fn start_with(login: &Login, port: u16, variables: &[(&str, &str)]) -> Self {
        let mut program = login.program(port);
        program.env("RUST_LOG", "error").envs(variables.iter().copied());
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = next_line(&mut output).await.expect("the server ended before it listened");
        let port = line.strip_prefix("HelloSockets at http://localhost:").expect(&line).parse().unwrap();
        Program { child, output, port }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("the server runs").cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Returns the next printed line; `None` at the end of the output.
    pub(crate) async fn line(&mut self) -> Option<String> {
        next_line(&mut self.output).await
    }

    /// Waits for the end and returns the exit code; `None` when a signal ended the process.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        timeout(DEADLINE, self.child.wait()).await.expect("the process did not end before the deadline").unwrap().code()
    }
}

async fn output_of(program: &mut Command) -> Output {
    timeout(DEADLINE, program.output()).await.expect("the process did not end before the deadline").unwrap()
}

fn failure(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

async fn next_line(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    timeout(DEADLINE, output.next_line()).await.expect("no line arrived before the deadline").unwrap()
}
