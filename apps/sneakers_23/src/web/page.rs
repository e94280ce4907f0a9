//! A page as a response, and the part that every shopper's page has.

use super::problem::Problem;
use super::session::Session;
use crate::checkout::Cart;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

/// The part of a shopper's page that does not depend on its content.
pub(super) struct Shell {
    pub(super) csrf_token: String,
    pub(super) cart_id: String,
    pub(super) cart_count: usize,
    /// The page's name in the presence of the shopper.
    pub(super) page: &'static str,
}

impl Shell {
    pub(super) fn new(session: &Session, cart: &Cart, page: &'static str) -> Self {
        Shell {
            csrf_token: session.csrf_token().to_owned(),
            cart_id: session.cart_id().as_str().to_owned(),
            cart_count: cart.items().len(),
            page,
        }
    }
}

/// Renders a page with a visitor's tokens, which no cache may store.
pub(super) fn personal(status: StatusCode, page: &impl Template) -> Response {
    (bennu_page::PERSONAL, public(status, page)).into_response()
}

/// Renders a page that is the same for everybody.
pub(super) fn public(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}
