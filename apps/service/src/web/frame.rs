//! The part that every page of an application has, and pages as responses.

use super::problem::Problem;
use super::sign_in::SignedIn;
use super::visitor::Visitor;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use bennu::Endpoint;
use bennu_page::PERSONAL;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The values that every page of a visitor needs: the CSRF token of its forms, the signed-in user, and that user's
/// token for the sockets.
#[derive(Debug, Clone)]
pub struct Frame<U> {
    /// See [`Visitor::csrf_token`].
    pub csrf_token: String,
    /// The user, if one has signed in.
    pub user: Option<U>,
    /// See [`SignedIn::token`]; empty without a user.
    pub user_token: String,
}

impl<U: Serialize + DeserializeOwned> Frame<U> {
    /// Returns the frame of a visitor's page, with a token that the endpoint signs.
    ///
    /// # Errors
    /// [`Problem`] when the user is too large to be signed.
    pub fn new(visitor: &Visitor, endpoint: &Endpoint) -> Result<Self, Problem> {
        let signed_in: Option<SignedIn<U>> = visitor.signed_in();
        let token = signed_in.as_ref().map(|signed_in| signed_in.token(endpoint)).transpose()?;
        Ok(Frame {
            csrf_token: visitor.csrf_token().to_owned(),
            user: signed_in.map(|signed_in| signed_in.user),
            user_token: token.unwrap_or_default(),
        })
    }
}

/// Renders a page with a visitor's tokens, which no cache may store.
///
/// # Errors
/// [`Problem`] when the template cannot be rendered.
pub fn page(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    Ok((PERSONAL, public_page(status, page)?).into_response())
}

/// Renders a page that is the same for everybody.
///
/// # Errors
/// [`Problem`] when the template cannot be rendered.
pub fn public_page(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    Ok((status, Html(html)).into_response())
}
