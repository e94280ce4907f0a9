//! The time of day, as clients and other nodes are told it: since 1970, in UTC.
//!
//! Clocks of two machines differ, so what is computed from two of them is about right.

use std::time::{Duration, SystemTime};

pub(crate) fn unix_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn unix_s() -> u64 {
    since_1970().as_secs()
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
