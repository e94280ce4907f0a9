//! An application as a user runs it: a server process on a port of its own, and commands to it.
//!
//! The tests of the applications and the benchmarks use this crate. A [`Login`] owns the directory in which server and
//! commands find each other, and the variables of all its processes. A [`Program`] is one running server. No process
//! outlives its test: dropping a `Program` kills it. [`server`] has the servers beside an application, and [`visitor`] a
//! browser without scripts.

pub mod server;
pub mod visitor;

pub use rustix::process::Signal;

use rustix::process::{Pid, kill_process};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The time limit of each wait, for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// The lines of a server's log that a failed test prints.
const LOG_TAIL: usize = 40;

/// An application.
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// The path of the program, as `env!("CARGO_BIN_EXE_sneakers_23")`.
    pub program: &'static str,
    /// The name of its package, which the files of its control socket have too.
    pub package: &'static str,
    /// The name that it prints before its address.
    pub name: &'static str,
    /// The variables of all its processes. They inherit none from the test.
    pub variables: &'static [(&'static str, &'static str)],
}

/// The login of a user: a working directory, a runtime directory, and more variables of all processes.
pub struct Login {
    app: App,
    directory: TempDir,
    has_runtime_directory: bool,
    variables: Vec<(String, String)>,
}

impl Login {
    /// Creates a login with an empty directory.
    pub fn new(app: App) -> Self {
        // A short path, since that of a Unix socket has about a hundred bytes at most.
        let directory = tempfile::Builder::new().prefix("bennu-").tempdir_in("/tmp").expect("/tmp can be written");
        Login { app, directory, has_runtime_directory: true, variables: Vec::new() }
    }

    /// Creates a login with a directory for temporary files only, as on a machine without systemd.
    pub fn without_runtime_directory(app: App) -> Self {
        Login { has_runtime_directory: false, ..Login::new(app) }
    }

    /// Sets a variable of all processes.
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Returns the working directory of all processes.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the path of the control socket of a server.
    pub fn control_socket(&self, port: u16) -> PathBuf {
        let directory = match self.has_runtime_directory {
            true => "bennu".to_owned(),
            false => format!("bennu-{}", rustix::process::geteuid().as_raw()),
        };
        self.directory().join(directory).join(format!("{}-{port}.sock", self.app.package))
    }

    /// Runs a command to the server on a port, and returns its output.
    ///
    /// # Panics
    /// When the command does not succeed.
    pub async fn run(&self, port: u16, args: &[&str]) -> String {
        success(self.output(port, args, "").await)
    }

    /// Like [`Login::run`], with a text on standard input.
    ///
    /// # Panics
    /// When the command does not succeed.
    pub async fn run_with_input(&self, port: u16, args: &[&str], input: &str) -> String {
        success(self.output(port, args, input).await)
    }

    /// Runs a command, and returns the line of its error.
    ///
    /// # Panics
    /// When the command does not fail with one line and exit code 1.
    pub async fn fail(&self, port: u16, args: &[&str]) -> String {
        failure(self.output(port, args, "").await)
    }

    /// Starts a server with this variable, and returns the line of its error.
    ///
    /// # Panics
    /// As [`Login::fail`].
    pub async fn fail_to_start(&self, variable: &str, value: &str) -> String {
        self.fail_to_start_with(&[(variable, value)]).await
    }

    /// Like [`Login::fail_to_start`], with several variables.
    ///
    /// # Panics
    /// As [`Login::fail`].
    pub async fn fail_to_start_with(&self, variables: &[(&str, &str)]) -> String {
        failure(ended(self.command(0).envs(variables.iter().copied()), "").await)
    }

    /// Runs a command with a text on standard input, and returns its output and its exit code.
    pub async fn output(&self, port: u16, args: &[&str], input: &str) -> Output {
        ended(self.command(port).args(args), input).await
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(self.app.program);
        command
            .current_dir(self.directory())
            .env_clear()
            .env(if self.has_runtime_directory { "XDG_RUNTIME_DIR" } else { "TMPDIR" }, self.directory())
            .env("PORT", port.to_string())
            .envs(self.app.variables.iter().copied())
            .envs(self.variables.iter().map(|(variable, value)| (variable, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// A running server. Dropping it kills the process. When the test fails, the end of the server's log is printed.
pub struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    /// The lines that it printed before its address.
    pub printed: Vec<String>,
    /// The port on which it listens.
    pub port: u16,
}

impl Program {
    /// Starts a server and waits until it listens. Port 0 selects a free port; see [`free_port`] for a server that is
    /// started again.
    ///
    /// # Panics
    /// When the server ends before it listens.
    pub async fn start(login: &Login, port: u16) -> Self {
        Program::start_with(login, port, &[]).await
    }

    /// Like [`Program::start`], with these variables.
    ///
    /// # Panics
    /// When the server ends before it listens.
    pub async fn start_with(login: &Login, port: u16, variables: &[(&str, &str)]) -> Self {
        let (mut child, log) = spawn(login, port, variables);
        let mut output = BufReader::new(child.stdout.take().expect("the output is a pipe")).lines();
        let mut printed = Vec::new();
        let address = format!("{} at http://localhost:", login.app.name);
        loop {
            let line = next_line(&mut output).await;
            let line = line.unwrap_or_else(|| panic!("the server ended before it listened; its log:\n{}", read(&log)));
            if let Some(port) = line.strip_prefix(&address) {
                let port = port.parse().expect("the address ends with a port");
                return Program { child, output, log, printed, port };
            }
            printed.push(line);
        }
    }

    /// Returns the address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Returns the address of a path for a browser.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Returns all that the server has logged.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Sends a signal to the process.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("the server runs").cast_signed();
        kill_process(Pid::from_raw(id).expect("a process has an id"), signal).expect("the server runs");
    }

    /// Returns the next printed line; `None` at the end of the output.
    pub async fn line(&mut self) -> Option<String> {
        next_line(&mut self.output).await
    }

    /// Waits for the end and returns the exit code; `None` when a signal ended the process.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(DEADLINE, self.child.wait()).await;
        ended.expect("the process did not end before the deadline").expect("the process can be awaited").code()
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.ended().await, None, "a killed process has no exit code");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().skip(log.lines().count().saturating_sub(LOG_TAIL)).collect::<Vec<_>>().join("\n");
            eprintln!("the log of the server on port {}:\n{tail}", self.port);
        }
    }
}

/// Returns a free port below those that the system gives to outgoing connections, so that a server keeps it while it is
/// stopped.
///
/// # Panics
/// When a hundred random ports are in use.
pub fn free_port() -> u16 {
    let mut random = (0..100).map(|n| 10_000 + (RandomState::new().hash_one(n) % 20_000) as u16);
    let free = random.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of 100 ports is free")
}

/// Starts a server. Its log is in a file, since the log of a killed database would hide the output of tests.
fn spawn(login: &Login, port: u16, variables: &[(&str, &str)]) -> (Child, PathBuf) {
    let names = (1..).map(|n| login.directory().join(format!("server-{n}.log")));
    let (log, file) = names
        .into_iter()
        .find_map(|path| Some((path.clone(), File::create_new(path).ok()?)))
        .expect("one of all numbers is free in the login's directory");
    let mut command = login.command(port);
    command.env("RUST_LOG", "info").envs(variables.iter().copied());
    (command.stdout(Stdio::piped()).stderr(file).spawn().expect("the program exists"), log)
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

async fn ended(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program exists");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    // A program that does not read its input may have ended before.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = timeout(DEADLINE, child.wait_with_output()).await;
    output.expect("the process did not end before the deadline").expect("the process can be awaited")
}

fn success(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("the output is text").trim_end().to_owned()
}

fn failure(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("the error is text");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

async fn next_line(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    timeout(DEADLINE, output.next_line()).await.expect("no line arrived before the deadline").expect("a line of text")
}
