//! The routes of the pages and their files: `/`, `/tracked`, `/assets/*.js`, `/assets/*.css`, and the official client,
//! `/assets/phoenix.mjs`.
//!
//! The pages are compiled templates. The other files are read with each request, so that an edit shows without a
//! restart. Only the client and the files that exist at the start are served.

use crate::socket::SALT;
use crate::tracker::UserTracker;
use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bennu::Endpoint;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use tower_http::services::ServeFile;
use tower_http::set_header::SetResponseHeaderLayer;

/// The user of every page, since this application has no login; `/tracked?user=ID` selects another one.
const USER_ID: u64 = 1;

/// Only the server's own scripts, styles and connections are allowed, and no frame around the page. The icon is a
/// `data:` URL.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

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
    let routes = Router::new().route("/", get(index)).route("/tracked", get(tracked));
    let mut routes = routes.with_state(Pages { endpoint: endpoint.clone(), users });
    for entry in std::fs::read_dir(assets)? {
        let entry = entry?;
        let is_loaded = entry.path().extension().is_some_and(|extension| extension == "js" || extension == "css");
        if let (true, Some(name)) = (is_loaded, entry.file_name().to_str()) {
            routes = routes.route_service(&format!("/assets/{name}"), ServeFile::new(entry.path()));
        }
    }
    Ok(routes
        .route_service("/assets/phoenix.mjs", ServeFile::new(phoenix_client(assets)))
        .layer(by_default(header::CACHE_CONTROL, "no-cache"))
        .layer(by_default(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(by_default(header::REFERRER_POLICY, "same-origin"))
        .layer(by_default(header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
}

/// Returns the path at which npm installs the official client.
pub(crate) fn phoenix_client(assets: &Path) -> PathBuf {
    assets.join("node_modules/phoenix/priv/static/phoenix.mjs")
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

/// Renders a page with a user's token, which no cache may store.
fn personal(page: &impl Template) -> Result<Response, PageError> {
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(page.render()?)).into_response())
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

fn by_default(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
