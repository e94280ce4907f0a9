//! The routes of the pages and their files: `/`, `/tracked`, and `/assets/*`, with the page shell and the official client.
//!
//! The pages are compiled templates. The files of the directory `assets` are read with each request, so that an edit
//! shows without a restart; those of the page shell are compiled in.

use crate::socket::SALT;
use crate::tracker::UserTracker;
use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bennu::Endpoint;
pub(crate) use bennu_page::phoenix_client;
use bennu_page::{Files, PERSONAL, shell};
use serde::Deserialize;
use std::io;
use std::path::Path;

/// The user of every page, since this application has no login; `/tracked?user=ID` selects another one.
const USER_ID: u64 = 1;

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    auth_token: String,
    user_id: u64,
}

#[derive(Template)]
#[template(path = "tracked.html")]
struct Tracked {
    auth_token: String,
    user_id: u64,
    node: String,
    down_after_s: u64,
}

/// The state of the page handlers.
#[derive(Clone)]
struct Pages {
    endpoint: Endpoint,
    users: UserTracker,
}

#[derive(Deserialize)]
struct Visitor {
    user: Option<u64>,
}

/// Returns the routes of the pages and of their files in `assets`.
///
/// # Errors
/// When the directory `assets` cannot be read.
pub(crate) fn routes(endpoint: &Endpoint, users: UserTracker, assets: &Path) -> io::Result<Router> {
    let pages = Router::new().route("/", get(index)).route("/tracked", get(tracked));
    let pages = pages.with_state(Pages { endpoint: endpoint.clone(), users });
    let files = Files::new().directory(assets)?.client(assets);
    let routes = shell(pages.merge(files.routes("/assets")));
    Ok(if cfg!(debug_assertions) { routes.merge(bennu_page::parts()) } else { routes })
}

async fn index(State(Pages { endpoint, .. }): State<Pages>) -> Result<Response, PageError> {
    personal(&Index { auth_token: endpoint.sign(SALT, &USER_ID)?, user_id: USER_ID })
}

async fn tracked(
    State(Pages { endpoint, users }): State<Pages>,
    Query(visitor): Query<Visitor>,
) -> Result<Response, PageError> {
    let user_id = visitor.user.unwrap_or(USER_ID);
    personal(&Tracked {
        auth_token: endpoint.sign(SALT, &user_id)?,
        user_id,
        node: endpoint.pubsub().node().to_string(),
        down_after_s: users.down_after.as_secs(),
    })
}

/// Renders a page with a user's token.
fn personal(page: &impl Template) -> Result<Response, PageError> {
    Ok((PERSONAL, Html(page.render()?)).into_response())
}

/// A page that could not be rendered. The cause is logged, and the browser receives a plain 500.
struct PageError(String);

impl<E: std::error::Error> From<E> for PageError {
    fn from(error: E) -> Self {
        PageError(error.to_string())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        tracing::error!(cause = self.0, "could not render the page");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
