//! The memory and CPU time of this process, read from `/proc` as `bennu-bench` reads them for other processes.

use crate::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All resident pages: `VmRSS`.
    pub(crate) resident: f64,
    /// Heap and stacks only: `RssAnon`.
    pub(crate) anonymous: f64,
}

/// Returns the memory after it has changed by less than 0.2 % for 1.5 s; after 4 s in any case.
pub(crate) async fn memory_settled() -> Result<Memory, Error> {
    let start = Instant::now();
    let (mut reference, mut since) = (memory()?, start);
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = memory()?;
        if (now.resident - reference.resident).abs() > reference.resident / 500.0 {
            (reference, since) = (now, Instant::now());
        }
        if since.elapsed() > Duration::from_millis(1500) || start.elapsed() > Duration::from_secs(4) {
            return Ok(now);
        }
    }
}

fn memory() -> Result<Memory, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .ok_or(format!("/proc/self/status has no {name}"))?;
        let kibibytes: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        Ok::<_, Error>(kibibytes * 1024.0)
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// Returns the CPU time of all threads, from the scheduler's statistics.
pub(crate) fn cpu() -> Result<Duration, Error> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Raises this process's limit of open files to the system's hard limit.
pub(crate) fn raise_open_files() -> Result<(), Error> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
