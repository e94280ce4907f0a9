//! The shared half of every application's pages: the visitor's session, forms, signing in, and a page for each error.
//!
//! The application mounts its pages with [`pages`], which reads the session of each [`Visitor`] from a signed cookie.
//! Handlers take a [`Visitor`], and a [`Form`] that carries its CSRF token. A [`Problem`] is the error of a handler;
//! [`with_problems`] draws it with the application's template. [`SignedIn`] is the user of a session and of its sockets.

mod form;
mod frame;
mod path_part;
mod problem;
mod sign_in;
mod visitor;

pub use form::{Fields, Form, MAX_FORM_BYTES};
pub use frame::{Frame, page, public_page};
pub use path_part::PathPart;
pub use problem::Problem;
pub use sign_in::{Peer, Rejected, SIGNED_IN_FOR, SignedIn, check_password};
pub use visitor::{Visitor, Visitors};

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use std::future::ready;

/// What a file of handlers uses: this module, and the types of axum and askama that nearly every handler needs.
pub mod prelude {
    pub use super::{
        Fields, Form, Frame, PathPart, Peer, Problem, SignedIn, Visitor, check_password, page, public_page, sentence,
    };
    pub use askama::Template;
    pub use axum::extract::State;
    pub use axum::http::StatusCode;
    pub use axum::response::{IntoResponse, Redirect, Response};
}

/// Adds to the routes of `pages` the visitor's session and the limit of forms.
pub fn pages<S: Clone + Send + Sync + 'static>(pages: Router<S>, visitors: Visitors) -> Router<S> {
    pages.layer(DefaultBodyLimit::max(MAX_FORM_BYTES)).layer(from_fn_with_state(visitors, visitor::begin))
}

/// Adds a page for an unknown path and for a wrong method, and draws each [`Problem`] of `routes` as the template that
/// `draw` returns.
///
/// The template gets no token of the visitor: the page repeats input of its request and is compressed, so that its length
/// would disclose a token.
pub fn with_problems<S, T>(routes: Router<S>, draw: impl Fn(Problem) -> T + Clone + Send + Sync + 'static) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    T: Template,
{
    let routes = routes.method_not_allowed_fallback(problem::wrong_method).fallback(problem::unknown_path);
    routes.layer(map_response(move |mut response: Response| {
        let problem = response.extensions_mut().remove::<Problem>();
        let drawn = problem.map(|problem| public_page(response.status(), &draw(problem)));
        ready(match drawn {
            Some(Ok(page)) => problem::with_page(response, page),
            // Without a problem, or with one whose template failed: that is logged, and the text of the problem remains.
            _ => response,
        })
    }))
}

/// Returns an error's text as a sentence: with a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}
