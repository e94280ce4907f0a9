//! The fields of forms and of addresses: the size of the form, its CSRF token, and each value by name.

use super::problem::Problem;
use super::visitor::Visitor;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bennu::CSRF_PARAM;
use std::collections::HashMap;

/// The most bytes of a form.
pub const MAX_FORM_BYTES: usize = 16 * 1024;

/// The fields of a form that carries the CSRF token of its visitor.
#[derive(Debug)]
pub struct Form(pub Fields);

/// The fields of a form, or of the query of an address, by name.
#[derive(Debug)]
pub struct Fields(HashMap<String, String>);

impl Fields {
    /// Returns a field, if it is there.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a field.
    ///
    /// # Errors
    /// A [`Problem`] that names it, when it is missing.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::missing(name))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let path = parts.uri.path().to_owned();
        let form = axum::Form::from_request(Request::from_parts(parts, body), state).await;
        let fields = Fields(form.map(|form| form.0).map_err(rejection)?);
        if !fields.optional(CSRF_PARAM).is_some_and(|token| visitor.accepts(token)) {
            tracing::warn!(path, "rejected a form without the CSRF token of its session");
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "This form is too old or came from another site.",
                "Nothing was changed. Go back and try again there.",
            ));
        }
        Ok(Form(fields))
    }
}

fn rejection(rejection: FormRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "This form is too large.",
            format!("A form of this site has at most {} KB.", MAX_FORM_BYTES / 1024),
        ),
        status => Problem::new(
            status,
            "This is not a form of this site.",
            "A form must be sent as application/x-www-form-urlencoded, and in full.",
        ),
    }
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        let fields = query.map_err(|_| Problem::invalid(parts.uri.query().unwrap_or_default(), "a valid query"))?;
        Ok(Fields(fields.0))
    }
}
