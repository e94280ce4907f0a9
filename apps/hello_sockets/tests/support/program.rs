//! The program itself, as one runs it: a server on a port of its own with a directory of its own for its control
//! socket, and commands to it.

use super::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Where programs meet: one login's runtime directory.
pub(crate) struct Login {
    directory: TempDir,
    has_runtime_directory: bool,
}

impl Login {
    pub(crate) fn new() -> Self {
        // Short: the name of a Unix socket has about a hundred bytes.
        let directory = tempfile::Builder::new().prefix("hello-").tempdir_in("/tmp").unwrap();
        Login { directory, has_runtime_directory: true }
    }

    /// A login that has but a directory for temporary files, as on a machine without systemd.
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

    /// What a command to the server on a port prints; it must succeed.
    pub(crate) async fn ask(&self, port: u16, args: &[&str]) -> String {
        let output = run(self.program(port).args(args)).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What a command says that must fail: one line, and exit code 1.
    pub(crate) async fn fail(&self, port: u16, args: &[&str]) -> String {
        failure(run(self.program(port).args(args)).await)
    }

    /// What a server says that must not start in this environment: as [`Login::fail`].
    pub(crate) async fn fail_to_start(&self, variable: &str, value: &str) -> String {
        self.fail_to_start_with(&[(variable, value)]).await
    }

    /// As [`Login::fail_to_start`], with several variables.
    pub(crate) async fn fail_to_start_with(&self, variables: &[(&str, &str)]) -> String {
        failure(run(self.program(0).envs(variables.iter().copied())).await)
    }

    fn program(&self, port: u16) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hello_sockets"));
        program
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("NODE")
            .env_remove("CLUSTER")
            .env(if self.has_runtime_directory { "XDG_RUNTIME_DIR" } else { "TMPDIR" }, self.directory.path())
            .env("PORT", port.to_string())
            .env("SECRET_KEY_BASE", "the same secret for a server that is started again")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        program
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Program {
    /// Starts one, and waits until it listens. Port 0 is any that is free.
    pub(crate) async fn start(login: &Login, port: u16) -> Self {
        Program::start_with(login, port, &[]).await
    }

    /// As [`Program::start`], in an environment with these variables.
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
        let id = self.child.id().expect("it runs").cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// The next line that it prints; `None` at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        next_line(&mut self.output).await
    }

    /// The exit code; `None` when a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        timeout(DEADLINE, self.child.wait()).await.expect("no end before the deadline").unwrap().code()
    }
}

async fn run(program: &mut Command) -> Output {
    timeout(DEADLINE, program.output()).await.expect("no end before the deadline").unwrap()
}

fn failure(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

async fn next_line(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    timeout(DEADLINE, output.next_line()).await.expect("no line before the deadline").unwrap()
}
