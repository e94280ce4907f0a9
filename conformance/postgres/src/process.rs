//! The process of a server, behind a shell that ends it when the test's process has ended.
//!
//! The shell is the child of the test; the server is the child of the shell. Two pipes connect them to the test. The
//! shell waits for the end of its input, which comes when [`Process`] is dropped or the test's process ends for any
//! cause: then it ends the server and removes its directory. The server and all its children inherit the output: its
//! end is the end of the last of them, whatever ended them.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs as `sh DIRECTORY PROGRAM ARGUMENT..`, and prints the process id of the program. An orphan's directory is
/// removed, since nothing needs it any more. SIGTERM is for the first moment of the program, in which it ignores
/// SIGQUIT as all background processes of a shell.
pub(crate) const SCRIPT: &str = r#"
directory=$1
shift
exec 3<&0 </dev/null
trap 'orphaned=yes; kill -QUIT "$server"; kill -TERM "$server"' TERM
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -TERM $$; } &
watch=$!
echo "$server"
wait "$server"
if [ "${orphaned:-}" ]; then wait "$server"; rm -rf "$directory"; else kill "$watch"; fi
"#;

/// The time limit for a server to start or to end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends the server and removes its directory.
pub(crate) struct Process {
    shell: Child,
    output: BufReader<ChildStdout>,
    server: Pid,
}

impl Process {
    /// Starts [`SCRIPT`] and waits until the server accepts connections.
    pub(crate) fn start(command: &mut Command, pid_file: &Path) -> Result<Process, String> {
        // A terminal's Ctrl-C is for the test alone.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().map_err(|error| format!("could not run the shell: {error}"))?;
        let mut output = BufReader::new(shell.stdout.take().expect("the output is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).map_err(|error| error.to_string())?;
        let number = line.trim().parse().map_err(|_| format!("{line:?} is not a process id"))?;
        let server = Pid::from_raw(number).ok_or("a process id is not 0")?;
        let process = Process { shell, output, server };
        process.wait_until_ready(pid_file)?;
        Ok(process)
    }

    /// Ends the server in order, and waits until all its processes have ended.
    pub(crate) fn stop(self) {
        self.signal(self.server, Signal::INT);
        self.wait();
    }

    /// Kills the server and its children. The children do not outlive the server for long anyway, but until they notice
    /// its end, they could still confirm a commit.
    pub(crate) fn kill(self) {
        let children = children(self.server);
        self.signal(self.server, Signal::KILL);
        for child in children {
            self.signal(child, Signal::KILL);
        }
        self.wait();
    }

    /// Reads the server's status in the file with its process id, as `pg_ctl` does. A file of an earlier server has
    /// another id.
    fn wait_until_ready(&self, pid_file: &Path) -> Result<(), String> {
        let deadline = Instant::now() + TIMEOUT;
        let id = self.server.as_raw_nonzero().to_string();
        while Instant::now() < deadline {
            let file = std::fs::read_to_string(pid_file).unwrap_or_default();
            let mut lines = file.lines().map(str::trim);
            if lines.next() == Some(&id) && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            if self.has_ended_within(Duration::from_millis(5)) {
                return Err("the server ended before it was ready".to_owned());
            }
        }
        Err(format!("the server is not ready after {TIMEOUT:?}"))
    }

    fn has_ended_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let limit = deadline.saturating_duration_since(Instant::now());
            let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
            match poll(&mut [PollFd::new(self.output.get_ref(), PollFlags::IN)], Some(&limit)) {
                // The end of another child of the test's process, for whose signal its runtime has a handler.
                Err(Errno::INTR) => {}
                ready => return ready.is_ok_and(|ready| ready > 0),
            }
        }
    }

    fn wait(&self) {
        assert!(self.has_ended_within(TIMEOUT), "the server {} has not ended after {TIMEOUT:?}", self.server);
    }

    fn signal(&self, process: Pid, signal: Signal) {
        // The process may have ended by itself.
        let _ = kill_process(process, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        if !self.has_ended_within(TIMEOUT) {
            self.signal(self.server, Signal::KILL);
        }
        let _ = self.shell.wait();
    }
}

/// Returns the children of a process; none when `ps` is not installed.
fn children(parent: Pid) -> Vec<Pid> {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "ppid=,pid="]).output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok().and_then(Pid::from_raw));
        Some((numbers.next()??, numbers.next()??))
    });
    rows.filter(|(ppid, _)| *ppid == parent).map(|(_, pid)| pid).collect()
}
