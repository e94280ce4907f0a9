//! HelloSockets, the first application: three sockets, seven channels, a page to try them, a page with the presences of
//! all nodes, a data pipeline to users, and a command line for the running server.
//!
//! Begin with [`app`], then `socket` and `channel/ping`. `main` only calls [`command::run`]. Sockets and channels are
//! public where the tests use them.

mod channel;
pub mod command;
mod control;
mod measurement;
mod page;
pub mod pipeline;
mod serve;
mod socket;
mod tracker;

pub use channel::DedupeChannel;
pub use socket::{AuthSocket, StatsSocket, UserSocket};
pub use tracker::UserTracker;

/// The name of this package, by which `bin/run` and the control socket know the application.
const APP: &str = env!("CARGO_PKG_NAME");

/// The listing of the guide compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/cluster.md")]
struct ClusterGuide;

use axum::Router;
use bennu::Endpoint;
use bennu::error::MountError;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the router with the sockets and the pages. `users` lists the users of `tracked`; `assets` is the directory
/// of the pages' files.
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

/// An application that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A socket cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The directory of the pages' files cannot be read.
    #[error("could not read the page's files in {}: {error}", path.display())]
    Assets {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
}
