//! The channels of the application, one a file. `socket` says which topics lead to them.

mod auth;
mod dedupe;
mod ping;
mod recurring;
mod wildcard;

pub(crate) use auth::AuthChannel;
pub(crate) use dedupe::DedupeChannel;
pub(crate) use ping::PingChannel;
pub(crate) use recurring::RecurringChannel;
pub(crate) use wildcard::WildcardChannel;
