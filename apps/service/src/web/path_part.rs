//! The one variable part of a path, as the id in `/sessions/{id}`.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use std::str::FromStr;

/// The variable part of the path. A text that is no `T` is a page that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct PathPart<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathPart<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        text.parse().map(PathPart).map_err(|_| Problem::not_found())
    }
}
