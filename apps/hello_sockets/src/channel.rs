//! The channels of the application, one a file. `socket` says which topics lead to them.

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
