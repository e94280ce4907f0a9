//! The time that the disk needs to make a small write durable: the least time of a durable commit.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The number of writes.
pub(crate) const WRITES: usize = 200;

/// Returns the median time to overwrite 8 KiB of a file and sync its data, as a commit does with the write-ahead log.
pub(crate) fn sync_time(directory: &Path) -> io::Result<Duration> {
    let mut file = tempfile::tempfile_in(directory)?;
    let page = [7; 8192];
    file.write_all(&page)?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let start = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[WRITES / 2])
}
