//! The channels of the application, one a file, and the time of day in their messages.
//!
//! `socket` routes topics to the channels. Times are Unix times in UTC. Clocks of two machines differ, so the
//! difference of two nodes' times is approximate.

mod auth;
mod dedupe;
mod ping;
mod recurring;
mod stats;
mod tracked;
mod wildcard;

pub(crate) use auth::AuthChannel;
pub use dedupe::DedupeChannel;
pub(crate) use ping::PingChannel;
pub(crate) use recurring::RecurringChannel;
pub(crate) use stats::StatsChannel;
pub(crate) use tracked::TrackedChannel;
pub(crate) use wildcard::WildcardChannel;

use std::time::{Duration, SystemTime};

pub(crate) fn unix_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn unix_s() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
