//! The pages: the store, the checkout and the owner's dashboard, as HTML that works without a script.
//!
//! `app` mounts [`routes`]. Handlers read the inventory's snapshot, so the store's pages load
//! while the database does not answer. Every page has the visitor's `session`, every form carries its CSRF token, and
//! every error is a page of its own, a `problem`.

mod admin;
mod checkout;
mod form;
mod page;
mod problem;
mod session;
mod shop;

use crate::store::Store;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use bennu_page::Files;
use std::io;
use std::path::Path;

/// Returns the routes of the pages and of their files, which are in the directory `assets`. It has the fallback for
/// unknown paths.
///
/// # Errors
/// When `assets` cannot be read.
pub fn routes(store: &Store, assets: &Path) -> io::Result<Router> {
    let files = Files::new().directory(assets)?.client(assets);
    let pages = Router::new()
        .route("/", get(shop::show))
        .route("/cart/add", post(shop::add))
        .route("/cart/remove", post(shop::remove))
        .route("/checkout", get(checkout::show).post(checkout::buy))
        .route("/checkout/outcome", get(checkout::outcome))
        .route("/checkout/complete/{id}", get(checkout::complete))
        .route("/admin", get(admin::show))
        .route("/admin/login", post(admin::log_in))
        .route("/admin/logout", post(admin::log_out))
        .layer(from_fn_with_state(store.clone(), session::begin))
        .layer(DefaultBodyLimit::max(form::MAX_BYTES))
        .merge(files.routes("/assets"))
        .method_not_allowed_fallback(problem::wrong_method)
        .fallback(problem::unknown_path)
        .with_state(store.clone());
    let pages = bennu_page::shell(pages);
    Ok(if cfg!(debug_assertions) { pages.merge(bennu_page::parts()) } else { pages })
}
