//! The errors of pages. Each has a status, a title, a sentence with the value and the limit, and a way back.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Display;

/// The most characters of a request's value that a page repeats.
const MAX_SHOWN: usize = 80;

/// A request that a handler rejects. [`with_problems`](super::with_problems) draws it as a page of the application;
/// without that it is its text.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    /// The heading of the page.
    pub title: &'static str,
    /// The sentence below it.
    pub text: String,
    /// The path and the label of the page's link; without one it leads to the first page.
    pub back: Option<(&'static str, &'static str)>,
}

impl Problem {
    /// Creates a problem whose link leads to the first page.
    pub fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Problem { status, title, text: text.into(), back: None }
    }

    /// Returns the status of the response.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns the problem with a link to another page than the first one.
    pub fn back(self, path: &'static str, label: &'static str) -> Self {
        Problem { back: Some((path, label)), ..self }
    }

    /// A value of the request that is not valid: `"x" is not {expected}.`
    pub fn invalid(value: &str, expected: impl Display) -> Self {
        let text = format!("{} is not {expected}.", quoted(value));
        Problem::new(StatusCode::BAD_REQUEST, "This request has a value that cannot be right.", text)
    }

    /// A field of a form or of an address that is missing.
    pub fn missing(field: &str) -> Self {
        let text = format!("The field {field:?} is missing.");
        Problem::new(StatusCode::BAD_REQUEST, "This request is not complete.", text)
    }

    /// A page that does not exist, or that belongs to another visitor.
    pub fn not_found() -> Self {
        Problem::new(
            StatusCode::NOT_FOUND,
            "There is no page here.",
            "The address may be mistyped, or the page belongs to somebody else.",
        )
    }

    /// An error that only the log explains.
    pub fn internal(error: &impl Display) -> Self {
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
        let mut response = (self.status, self.text.clone()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn unknown_path() -> Problem {
    Problem::not_found()
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let text = format!("{} does not take {} requests.", quoted(uri.path()), method);
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This address cannot be used like that.", text)
}

/// Returns the response of a problem with the page in place of its text. Its other headers stay, as `Set-Cookie` and
/// `Retry-After`.
pub(super) fn with_page(plain: Response, page: Response) -> Response {
    let (mut parts, _) = plain.into_parts();
    let (drawn, body) = page.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(drawn.headers);
    Response::from_parts(parts, body)
}

/// Returns a value of a request in quotation marks, cut after 80 characters.
fn quoted(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?} and so on", &value[..end]),
        None => format!("{value:?}"),
    }
}
