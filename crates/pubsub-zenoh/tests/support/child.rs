//! A node in a process of its own, which can be stopped and killed. The process is this test program again, with
//! environment variables that make it a node. It prints the number of each note that it receives on the topic `t`.

use super::url;
use bennu_pubsub::{NodeName, PubSub, Publication, Sink};
use bennu_pubsub_cluster::conformance::node::Note;
use bennu_pubsub_zenoh::Zenoh;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const NAME: &str = "BENNU_TEST_NODE";
const URL: &str = "BENNU_TEST_URL";

/// A running node; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    received: Arc<Mutex<Vec<u64>>>,
}

impl Process {
    /// Starts it. The test program must have an ignored test `process`, which calls [`run`].
    pub(crate) fn start(name: &str, port: u16, others: &[u16]) -> Process {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args(["--exact", "process", "--ignored", "--nocapture"]).env(NAME, name).env(URL, url(port, others));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is this very program");
        let received = Arc::<Mutex<Vec<u64>>>::default();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let collected = received.clone();
        // The thread ends with the process.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("received ").and_then(|number| number.parse().ok()) {
                    collected.lock().push(number);
                }
            }
        });
        Process { child, received }
    }

    /// Returns the numbers so far.
    pub(crate) fn received(&self) -> Vec<u64> {
        self.received.lock().clone()
    }

    /// Returns the last number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.received.lock().last().copied()
    }

    /// Kills the process without a goodbye; its connections are reset.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Stops the process: its connections stay open, and it reads nothing.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes a stopped process.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("it runs");
    }

    fn end(&mut self) {
        // The process may have ended by itself before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

struct Printing;

impl Sink for Printing {
    fn deliver(&self, publication: &Publication) {
        if let Some(note) = publication.downcast_ref::<Note>() {
            // A write fails only after the parent has gone, which also ends this process.
            let _ = writeln!(std::io::stdout(), "received {}", note.n);
        }
    }
}

/// Runs a node until standard input ends, which is when the parent ends.
pub(crate) fn run() {
    let (Ok(name), Ok(url)) = (std::env::var(NAME), std::env::var(URL)) else { return };
    let zenoh = Zenoh::new(&url).expect("the address is valid");
    let pubsub = PubSub::new(zenoh.join(NodeName::new(name)));
    let _attachment = pubsub.attach("t", Arc::new(Printing));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
