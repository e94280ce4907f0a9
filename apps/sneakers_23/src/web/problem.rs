//! The pages of errors. Each has a status, a title, a sentence with the value and the limit, and a way back.
//!
//! Handlers return [`Problem`] as their error. Its page contains no token of the visitor, since it repeats input of the
//! request and is compressed: the length of such a page would disclose a token.

use super::page;
use askama::Template;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::fmt::Display;

/// The most characters of a request's value that a page repeats.
const MAX_SHOWN: usize = 80;

/// A request that a handler rejects.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(super) struct Problem {
    status: u16,
    title: &'static str,
    text: String,
    back: &'static str,
    back_label: &'static str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        let status = status.as_u16();
        Problem { status, title, text: text.into(), back: "/", back_label: "Go to the store" }
    }

    /// Returns the problem with a link to another page than the store.
    pub(super) fn back(self, back: &'static str, back_label: &'static str) -> Self {
        Problem { back, back_label, ..self }
    }

    /// A value of the request that is not valid.
    pub(super) fn invalid(value: &str, expected: impl Display) -> Self {
        let text = format!("{} is not {expected}.", quoted(value));
        Problem::new(StatusCode::BAD_REQUEST, "This request has a value that cannot be right.", text)
    }

    /// A field of a form or of an address that is missing.
    pub(super) fn missing(field: &str) -> Self {
        let text = format!("The field {field:?} is missing.");
        Problem::new(StatusCode::BAD_REQUEST, "This request is not complete.", text)
    }

    pub(super) fn not_found() -> Self {
        Problem::new(
            StatusCode::NOT_FOUND,
            "There is no page here.",
            "The address may be mistyped, or the page belongs to somebody else.",
        )
    }

    /// The database does not answer, and the page needs it.
    pub(super) fn database(error: &impl Display) -> Self {
        tracing::warn!(%error, "could not read the database for a page");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The store cannot look this up right now.",
            "Nothing is lost: an order that was confirmed is kept. Reload this page in a moment.",
        )
    }

    /// An error that only the log explains.
    pub(super) fn internal(error: &impl Display) -> Self {
        tracing::error!(%error, "could not answer a request");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something broke on our side.",
            "It was logged, and we look at it. Try again in a moment.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("the status was made from a StatusCode");
        page::public(status, &self)
    }
}

pub(super) async fn unknown_path() -> Problem {
    Problem::not_found()
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let text = format!("{} does not take {} requests.", quoted(uri.path()), method);
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This address cannot be used like that.", text)
}

/// Returns a value of a request in quotation marks, cut after 80 characters.
fn quoted(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?} and so on", &value[..end]),
        None => format!("{value:?}"),
    }
}
