//! CPU time and memory of other processes, and child processes that never outlive their parent.
//!
//! It owns all reads of `/proc` and the guarded start of a child. The load generator measures with it, and the
//! coordinator starts servers with it.

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
    /// Returns the CPU time, user and system, of all running threads: the first number of each
    /// `/proc/PID/task/*/schedstat`, in nanoseconds.
    ///
    /// The number is the scheduler's own sum (`sum_exec_runtime`); `utime + stime` of `/proc/PID/stat` has steps of 10
    /// ms. The time of a thread that ended is lost; servers' workers do not end.
    ///
    /// # Errors
    ///
    /// The process has ended, or the kernel keeps no such statistics.
    pub(crate) fn cpu(self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue; // the thread ended after the directory was read
            };
            nanoseconds += first_number(&text)?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Returns [`cpu`](Self::cpu) once the process is idle, which is 20 ms with less than 0.2 ms of CPU; after two
    /// seconds at most.
    ///
    /// # Errors
    ///
    /// As [`cpu`](Self::cpu).
    pub(crate) fn cpu_when_idle(self) -> io::Result<Duration> {
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

    /// Returns the current memory.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub(crate) fn memory(self) -> io::Result<Memory> {
        parse_memory(&fs::read_to_string(format!("/proc/{}/status", self.id))?)
    }

    /// Returns the memory once it has settled: sampled every 100 ms until it has not changed by more than 0.2 % for a
    /// second and a half, at most for `timeout`. Memory that a server returns later is not counted as returned.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub(crate) fn memory_settled(self, timeout: Duration) -> io::Result<Memory> {
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
            if since.elapsed() > Duration::from_millis(1500) || start.elapsed() > timeout {
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
    word.parse().map_err(|_| io::Error::other(format!("{word:?} in /proc is not a number")))
}

/// The cores of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The scheduler's choice.
    Any,
    /// The last core only.
    Last,
    /// All cores but the last.
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

    /// Pins this process, and its children, to the cores.
    fn pin(self) -> io::Result<()> {
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
            .map_err(|error| io::Error::other(format!("could not pin to these cores: {error}")))
    }
}

/// Returns a command that starts `program` through `bennu-bench guarded`: the kernel kills it when its parent ends for
/// any reason, and it runs on these cores.
///
/// # Errors
///
/// The path of this program is unknown.
pub(crate) fn guarded(cores: Cores, program: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["guarded", cores.name(), program]);
    Ok(command)
}

/// Runs `bennu-bench guarded CORES PROGRAM ARGUMENT...`: sets the parent-death signal and the cores, both of which
/// survive an exec, and replaces itself by the program, under the same process id.
///
/// # Errors
///
/// The program could not be started. Otherwise the function does not return.
pub(crate) fn exec_guarded(words: Vec<String>) -> io::Result<()> {
    let [cores, program, arguments @ ..] = words.as_slice() else {
        return Err(io::Error::other("guarded needs CORES and PROGRAM"));
    };
    let cores = Cores::ALL.into_iter().find(|known| known.name() == cores);
    cores.ok_or_else(|| io::Error::other("CORES is not any, last or all-but-last"))?.pin()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new(program).args(arguments).exec();
    Err(io::Error::other(format!("could not start {program}: {error}")))
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
    fn the_cpu_time_of_a_busy_process_grows() {
        let this = Process { id: std::process::id() };
        let before = this.cpu().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(30) {
            std::hint::black_box(start.elapsed());
        }
        assert!(this.cpu().unwrap() > before);
    }
}
