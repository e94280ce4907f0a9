//! Sneakers23, a shop for the day of a release.
//!
//! The domain is at the bottom: [`catalog`] has the things that are sold, [`database`] the tables, [`inventory`] the current stock,
//! [`checkout`] the purchases. It knows neither HTTP nor channels. [`announcer`] turns its changes into broadcasts, [`store`] is one
//! node with all of its parts. Above it are the edges: [`socket`] and [`channel`], [`web`], and the commands in `control`. [`app`]
//! puts them together, and [`command`] runs them.

pub mod announcer;
pub mod catalog;
pub mod channel;
pub mod checkout;
pub mod command;
mod control;
pub mod dashboard;
pub mod database;
pub mod inventory;
pub mod sell_out;
mod serve;
pub mod shoppers;
mod sizes;
pub mod socket;
pub mod store;
pub mod web;

use axum::Router;
use bennu::error::MountError;
use socket::{AdminSocket, ProductSocket};
use std::io;
use std::path::{Path, PathBuf};
use store::Store;

/// Returns the router of a node: its sockets and its pages. `assets` is the directory of the pages' files.
///
/// # Errors
/// [`AppError`] when a socket cannot be mounted or `assets` cannot be read.
pub fn app(store: &Store, assets: &Path) -> Result<Router, AppError> {
    let shoppers = bennu::socket::<ProductSocket>("/product_socket").with_state(store.clone());
    let owner = bennu::socket::<AdminSocket>("/admin_socket").with_state(store.clone());
    let pages = web::routes(store, assets).map_err(|error| AppError::Assets { path: assets.to_owned(), error })?;
    Ok(Router::new()
        .merge(shoppers.session(store.session.clone()).longpoll(true).router(&store.endpoint)?)
        .merge(owner.session(store.session.clone()).longpoll(true).router(&store.endpoint)?)
        .merge(pages))
}

/// An application that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A socket cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The directory of the pages' files cannot be read.
    #[error("could not read the pages' files in {}: {error}", path.display())]
    Assets {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
}
