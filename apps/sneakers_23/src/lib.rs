//! Sneakers23, the store.

pub mod announcer;
pub mod catalog;
pub mod channel;
pub mod checkout;
pub mod dashboard;
pub mod database;
pub mod inventory;
pub mod sell_out;
pub mod shoppers;
pub mod socket;
pub mod store;
pub mod web;

use axum::Router;
use bennu::error::MountError;
use socket::{AdminSocket, ProductSocket};
use store::Store;

/// Returns the router of a node: its sockets and its pages.
///
/// # Errors
/// [`MountError`]
pub fn app(store: &Store) -> Result<Router, MountError> {
    let shoppers = bennu::socket::<ProductSocket>("/product_socket").with_state(store.clone());
    let owner = bennu::socket::<AdminSocket>("/admin_socket").with_state(store.clone());
    Ok(Router::new()
        .merge(shoppers.session(store.session.clone()).longpoll(true).router(&store.endpoint)?)
        .merge(owner.longpoll(true).router(&store.endpoint)?)
        .merge(web::routes(store)))
}
