//! The pages: the store, the checkout and the owner's dashboard, as HTML that works without a script.
//!
//! `app` mounts [`routes`]. Handlers read the inventory's snapshot, so the store's pages load while the database does not
//! answer. Sessions, forms and the errors of pages are those of every application, see [`app_service::web`]; `shopper`
//! adds the cart.

mod admin;
mod checkout;
mod shop;
mod shopper;

use crate::store::Store;
use app_service::web::{self, Problem, Visitors};
use askama::Template;
use axum::Router;
use axum::middleware::from_fn;
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
        .layer(from_fn(shopper::begin));
    let pages = web::pages(pages, Visitors::new(store.session.clone(), store.endpoint.secret().clone()));
    let routes = web::with_problems(pages.merge(files.routes("/assets")), |problem| ProblemPage { problem });
    let routes = bennu_page::shell(routes.with_state(store.clone()));
    Ok(if cfg!(debug_assertions) { routes.merge(bennu_page::parts()) } else { routes })
}

/// The page of an error.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    problem: Problem,
}
