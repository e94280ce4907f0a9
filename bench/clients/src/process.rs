//! What the kernel says about this very process: its memory and its CPU time, as `bennu-bench` reads them of others.

use crate::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) resident: f64,
    /// `RssAnon`: heap and stacks alone.
    pub(crate) anonymous: f64,
}

/// Memory once it has not moved by 0.2 % for a second and a half; after four seconds in any case.
pub(crate) async fn memory_settled() -> Result<Memory, Failure> {
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

fn memory() -> Result<Memory, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("no {name}"))?;
        let kibibytes: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        Ok::<_, Failure>(kibibytes * 1024.0)
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// CPU time of all threads, by the scheduler's own sum.
pub(crate) fn cpu() -> Result<Duration, Failure> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Lets this process open as many files as the system's hard limit allows.
pub(crate) fn raise_open_files() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
