//! HelloSockets: the first application that one meets. Three sockets, seven channels, a page to try them with and one
//! that shows who is here on all nodes, a data pipeline to users, and a command line that reaches the running server.
//!
//! Begin with [`app`], then `socket` and `channel/ping`: the rest is what surrounds them. `main` only calls
//! [`command::run`]. Sockets and channels are public where the tests need them.

mod channel;
mod clock;
mod cluster;
pub mod command;
mod control;
mod measurement;
mod page;
pub mod pipeline;
mod port;
mod serve;
mod socket;
mod stop_signal;
mod tracker;

pub use channel::DedupeChannel;
pub use socket::{AuthSocket, StatsSocket, UserSocket};
pub use tracker::UserTracker;

/// The listing of the guide compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/cluster.md")]
struct ClusterGuide;

use axum::Router;
use bennu::{Endpoint, MountError};
use std::io;
use std::path::{Path, PathBuf};

/// The application: its sockets and its pages. `users` knows who is here; `assets` is the directory of what the page
/// loads.
///
/// # Errors
/// [`AppError`] when a socket cannot be mounted or `assets` cannot be read.
pub fn app(endpoint: &Endpoint, users: UserTracker, assets: &Path) -> Result<Router, AppError> {
    let page = page::routes(endpoint, users.clone(), assets)
        .map_err(|error| AppError::Assets { path: assets.to_owned(), error })?;
    Ok(Router::new()
        .merge(bennu::socket::<UserSocket>("/socket").longpoll(true).router(endpoint)?)
        .merge(bennu::socket::<AuthSocket>("/auth_socket").with_state(users).longpoll(true).router(endpoint)?)
        .merge(bennu::socket::<StatsSocket>("/stats_socket").longpoll(true).router(endpoint)?)
        .merge(page))
}

/// Why there is no application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A socket cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The directory of what the pages load cannot be read.
    #[error("the page's files in {} cannot be read: {error}", path.display())]
    Assets {
        /// The directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}
