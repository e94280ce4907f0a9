//! The process of a server: started on a free port, stopped, resumed, killed and started again. Dropping it kills the
//! process.

use super::Server;
use rustix::process::{Pid, Signal, kill_process};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The limit until a server listens.
const START: Duration = Duration::from_secs(20);

/// The program of a server.
pub trait Program: 'static {
    /// Its name on the command line.
    const NAME: &'static str;
}

/// A running server; dropping it kills it.
pub struct Process<S> {
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
    server: PhantomData<S>,
}

impl<S: Server> Process<S> {
    /// Starts a server on a free port. `None`, with a line on standard error, when the program is not installed.
    ///
    /// # Panics
    /// When the program is installed and does not listen.
    pub fn start(credentials: Option<(&str, &str)>) -> Option<Process<S>> {
        let port = free_port();
        Process::start_with(port, S::arguments(port, credentials))
    }

    /// Returns a server that does not run yet.
    pub fn prepare() -> Process<S> {
        let port = free_port();
        Process { port, arguments: S::arguments(port, None), child: None, server: PhantomData }
    }
}

impl<S: Program> Process<S> {
    /// As [`Process::start`], with custom arguments.
    ///
    /// # Panics
    /// When the program is installed and does not listen.
    pub fn start_with(port: u16, arguments: Vec<String>) -> Option<Process<S>> {
        let mut process = Process { port, arguments, child: None, server: PhantomData };
        process.run().then_some(process)
    }

    /// Returns the port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, or starts it again on the same port. `false` when the program is not installed.
    ///
    /// # Panics
    /// When the program is installed and does not listen.
    pub fn run(&mut self) -> bool {
        let mut command = Command::new(S::NAME);
        // Debian installs some servers in directories that only root's PATH contains.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        command.args(&self.arguments).env("PATH", path).current_dir(std::env::temp_dir());
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                // The macro `eprintln` would not do: the test runner captures its output when the test passes.
                let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {} is not installed", S::NAME);
                return false;
            }
            Err(error) => panic!("{} cannot be started: {error}", S::NAME),
        }
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let status = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(status.is_none(), "{} {:?} ended: {status:?}", S::NAME, self.arguments);
            assert!(Instant::now() < deadline, "{} does not listen within {START:?}", S::NAME);
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Kills the process without a goodbye; all connections are reset.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The process may have ended by itself before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the process: its connections stay open, and it reads nothing.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes a stopped process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the server runs");
    }

    /// Sends bytes of a foreign client on a new connection, which stays open until the returned stream is dropped.
    ///
    /// # Panics
    /// When the server does not accept the bytes.
    pub fn send_foreign(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.write_all(bytes).expect("the server reads");
        stream
    }
}

impl<S> Drop for Process<S> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns a port on which no process listens at this moment. It is below the ports that Linux gives to outgoing
/// connections (32,768 and up). Otherwise a test that kills its server and starts it again would sometimes find its
/// port in use.
///
/// # Panics
/// When no port is free.
pub fn free_port() -> u16 {
    let random = (0..100).map(|n| 10_000 + (RandomState::new().hash_one(n) % 20_000) as u16);
    let free = random.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of 100 ports is free")
}
