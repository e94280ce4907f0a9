//! What the kernel says about another process, and children that never outlive their parent.
//!
//! Owns everything read from `/proc` (CPU time, memory) and the guarded start of a child. The load generator
//! measures with it, the conductor starts servers with it.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A process under measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    /// Its process id.
    pub(crate) id: u32,
}

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// `VmRSS`: everything resident, mapped files and shared pages included.
    pub(crate) resident: u64,
    /// `RssAnon`: heap and stacks alone.
    pub(crate) anonymous: u64,
}

impl Process {
    /// CPU time, user and system, of all threads that live: the first number of each
    /// `/proc/PID/task/*/schedstat`, in nanoseconds.
    ///
    /// It is the scheduler's own sum (`sum_exec_runtime`), where `utime + stime` of `/proc/PID/stat` comes in
    /// steps of 10 ms. A thread that ended takes its share along; servers' workers do not end.
    ///
    /// # Errors
    ///
    /// The process is gone, or the kernel keeps no such statistics.
    pub(crate) fn cpu(self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue; // it ended between the listing and the reading
            };
            nanoseconds += first_number(&text)?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// [`cpu`](Self::cpu) once the process has come to rest: 20 ms with less than 0.2 ms of CPU; at most
    /// two seconds later.
    ///
    /// # Errors
    ///
    /// As [`cpu`](Self::cpu).
    pub(crate) fn cpu_at_rest(self) -> io::Result<Duration> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut before = self.cpu()?;
        loop {
            thread::sleep(Duration::from_millis(20));
            let now = self.cpu()?;
            if now - before.min(now) < Duration::from_micros(200) || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Memory at this moment.
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub(crate) fn memory(self) -> io::Result<Memory> {
        parse_memory(&fs::read_to_string(format!("/proc/{}/status", self.id))?)
    }

    /// Memory once it has settled: sampled every 100 ms until it has not moved by more than 0.2 % for a
    /// second and a half, at most for `patience`. A server that gives memory back later than that does not get
    /// it counted.
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub(crate) fn memory_settled(self, patience: Duration) -> io::Result<Memory> {
        let start = Instant::now();
        let mut reference = self.memory()?;
        let mut since = start;
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = self.memory()?;
            if now.resident.abs_diff(reference.resident) > reference.resident / 500 {
                reference = now;
                since = Instant::now();
            }
            if since.elapsed() > Duration::from_millis(1500) || start.elapsed() > patience {
                return Ok(now);
            }
        }
    }
}

fn parse_memory(status: &str) -> io::Result<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.ok_or_else(|| io::Error::other(format!("/proc/PID/status has no {name}")))
            .and_then(first_number)
            .map(|kibibytes| kibibytes * 1024)
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

fn first_number(text: &str) -> io::Result<u64> {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("{word:?} in /proc is no number")))
}

/// Where a child may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Wherever the scheduler likes.
    Any,
    /// On the last core only.
    Last,
    /// On all cores but the last.
    AllButLast,
}

impl Cores {
    const ALL: [Self; 3] = [Self::Any, Self::Last, Self::AllButLast];

    fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Last => "last",
            Self::AllButLast => "all-but-last",
        }
    }

    /// Confines this process, and what it becomes or starts.
    fn confine(self) -> io::Result<()> {
        let allowed = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|&core| allowed.is_set(core)).unwrap_or(0);
        let mut chosen = match self {
            Self::Any => return Ok(()),
            Self::Last => CpuSet::new(),
            Self::AllButLast => allowed,
        };
        match self {
            Self::Last => chosen.set(last),
            _ => chosen.unset(last),
        }
        sched_setaffinity(None, &chosen)
            .map_err(|error| io::Error::other(format!("no core is left to pin to: {error}")))
    }
}

/// A command that this binary starts through `bennu-bench guarded`, so that the kernel kills it when its
/// parent dies, however the parent dies, and so that it runs on these cores.
///
/// # Errors
///
/// This program's own path is unknown.
pub(crate) fn guarded(cores: Cores, program: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["guarded", cores.name(), program]);
    Ok(command)
}

/// The body of `bennu-bench guarded CORES PROGRAM ARGUMENT...`: asks for the death signal and the cores, both
/// of which survive an exec, and becomes the program, under the same process id.
///
/// # Errors
///
/// There is no such program. Otherwise it does not return.
pub(crate) fn exec_guarded(words: Vec<String>) -> io::Result<()> {
    let [cores, program, arguments @ ..] = words.as_slice() else {
        return Err(io::Error::other("guarded needs cores and a program"));
    };
    let cores = Cores::ALL.into_iter().find(|known| known.name() == cores);
    cores.ok_or_else(|| io::Error::other("guarded knows no such cores"))?.confine()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new(program).args(arguments).exec();
    Err(io::Error::other(format!("{program} does not start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmRSS:\t    1740 kB\nRssAnon:\t     112 kB\nThreads:\t1\n";
        let memory = Memory { resident: 1740 * 1024, anonymous: 112 * 1024 };
        assert_eq!(parse_memory(status).unwrap(), memory);
        assert!(parse_memory("Name:\tx\n").is_err());
    }

    #[test]
    fn our_own_cpu_time_grows_while_we_compute() {
        let this = Process { id: std::process::id() };
        let before = this.cpu().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(30) {
            std::hint::black_box(start.elapsed());
        }
        assert!(this.cpu().unwrap() > before);
    }
}
