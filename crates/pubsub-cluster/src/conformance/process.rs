//! A server's process: started on a free port, stood still, killed and started again, and never left behind.

use super::Server;
use rustix::process::{Pid, Signal, kill_process};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A program that serves.
pub trait Program: 'static {
    /// How it is called on the command line.
    const NAME: &'static str;
}

/// A server that runs; dropping it kills it.
pub struct Process<S> {
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
    server: PhantomData<S>,
}

impl<S: Server> Process<S> {
    /// Starts a server on a free port. `None`, and a line that says so, when the program is not installed.
    ///
    /// # Panics
    /// When the program is there and does not listen.
    pub fn start(credentials: Option<(&str, &str)>) -> Option<Process<S>> {
        let port = free_port();
        Process::start_with(port, S::arguments(port, credentials))
    }

    /// A server that does not run yet.
    pub fn prepare() -> Process<S> {
        let port = free_port();
        Process { port, arguments: S::arguments(port, None), child: None, server: PhantomData }
    }
}

impl<S: Program> Process<S> {
    /// As [`Process::start`], with arguments of one's own.
    ///
    /// # Panics
    /// When the program is there and does not listen.
    pub fn start_with(port: u16, arguments: Vec<String>) -> Option<Process<S>> {
        let mut process = Process { port, arguments, child: None, server: PhantomData };
        process.run().then_some(process)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, again on the same port. `false` when the program is not installed.
    ///
    /// # Panics
    /// When the program is there and does not listen.
    pub fn run(&mut self) -> bool {
        let mut command = Command::new(S::NAME);
        // Debian has some servers where only root's PATH leads.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        command.args(&self.arguments).env("PATH", path).current_dir(std::env::temp_dir());
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                // Not by a macro, whose output is kept from whoever reads the report of a test that passed.
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

    /// Kills it: no goodbye, all connections are reset.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Either it has ended by itself, or it is killed now.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// It stands still: its connections stay, and nobody reads them.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the server runs");
    }

    /// Somebody sends something on a connection of its own, and keeps that open as long as what is returned.
    ///
    /// # Panics
    /// When the server does not take it.
    pub fn stranger(&self, bytes: &[u8]) -> TcpStream {
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

/// A port that nobody listens on at this moment. It is none of those that Linux gives to outgoing connections (32,768 and
/// up): a test that kills its server and starts it again would else find its port taken now and then.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let random = (0..100).map(|n| 10_000 + (RandomState::new().hash_one(n) % 20_000) as u16);
    let free = random.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("of 100 ports one is free")
}
