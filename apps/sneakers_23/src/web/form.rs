//! The fields of forms and of addresses, checked: the size of the form, its CSRF token, and each value.
//!
//! Handlers take a [`Form`] or [`Fields`], and parse the fields by name. Each rejection is a page that names the value
//! and the limit.

use super::problem::Problem;
use super::session::Session;
use crate::catalog::{Item, ItemId};
use crate::inventory::Snapshot;
use crate::store::Store;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bennu::CSRF_PARAM;
use std::collections::HashMap;

/// The most bytes of a form. The largest form is a purchase of 26 items, with about 3 KB.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// The fields of a form that carries the CSRF token of the visitor's session.
pub(super) struct Form(pub(super) Fields);

/// The fields of a form, or of the query of an address, by name.
pub(super) struct Fields(HashMap<String, String>);

impl FromRequest<Store> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, store: &Store) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, store).await?;
        let path = parts.uri.path().to_owned();
        let form = axum::Form::from_request(Request::from_parts(parts, body), store).await;
        let fields = Fields(form.map(|form| form.0).map_err(rejection)?);
        if !fields.0.get(CSRF_PARAM).is_some_and(|token| session.accepts(token)) {
            tracing::warn!(path, "rejected a form without the CSRF token of its session");
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "This form is too old or came from another site.",
                "Nothing was changed. Go back to the store and try again there.",
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
            format!("A form of this store has at most {} KB.", MAX_BYTES / 1024),
        ),
        status => Problem::new(
            status,
            "This is not a form of this store.",
            "A form must be sent as application/x-www-form-urlencoded, and in full.",
        ),
    }
}

impl FromRequestParts<Store> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Store) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        let fields = query.map_err(|_| Problem::invalid(parts.uri.query().unwrap_or_default(), "a valid query"))?;
        Ok(Fields(fields.0))
    }
}

impl Fields {
    /// Returns a field, if it is there.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a field.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::missing(name))
    }

    /// Returns the item that the field `item_id` names.
    pub(super) fn item<'a>(&self, shelf: &'a Snapshot) -> Result<&'a Item, Problem> {
        let text = self.required("item_id")?;
        let item = text.parse().ok().and_then(|id: ItemId| shelf.item(id));
        item.ok_or_else(|| {
            let last = shelf.items().last().map_or(0, |item| item.id.0);
            Problem::invalid(text, format_args!("an item of the store: the items have the numbers 1 to {last}"))
        })
    }
}
