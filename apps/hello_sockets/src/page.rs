//! The pages and what they load: `/`, `/tracked`, `/assets/*.js`, `/assets/*.css`, and the official client,
//! `/assets/phoenix.mjs`.
//!
//! The pages are templates that were compiled in; the other files are read when they are asked for, so that one sees an
//! edit without starting again. Only files that were there at start, and the client, can be asked for at all.

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

/// There is no login in this application: whoever opens a page is this user, unless `/tracked?user=ID` says another.
const USER_ID: u64 = 1;

/// No scripts, styles or connections but the server's own, and no frame around the page. The icon is a `data:` URL.
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

/// What the pages are made with.
#[derive(Clone)]
struct Pages {
    endpoint: Endpoint,
    users: UserTracker,
}

#[derive(Deserialize)]
struct Visitor {
    user: Option<u64>,
}

/// The routes of the pages, with what they load from `assets`.
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

/// Where npm puts the official client.
pub(crate) fn phoenix_client(assets: &Path) -> PathBuf {
    assets.join("node_modules/phoenix/priv/static/phoenix.mjs")
}

async fn index(State(Pages { endpoint, .. }): State<Pages>) -> Result<Response, NoPage> {
    personal(&Index { auth_token: endpoint.sign(SALT, &USER_ID)?, user_id: USER_ID })
}

async fn tracked(
    State(Pages { endpoint, users }): State<Pages>,
    Query(visitor): Query<Visitor>,
) -> Result<Response, NoPage> {
    let user_id = visitor.user.unwrap_or(USER_ID);
    personal(&Tracked {
        auth_token: endpoint.sign(SALT, &user_id)?,
        user_id,
        node: endpoint.pubsub().node().to_string(),
        down_after_s: users.down_after.as_secs(),
    })
}

/// A page with a token that is its reader's own: nothing may keep it.
fn personal(page: &impl Template) -> Result<Response, NoPage> {
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(page.render()?)).into_response())
}

/// What kept the page from being made: the log gets the cause, the browser a plain 500.
struct NoPage(String);

impl<E: std::error::Error> From<E> for NoPage {
    fn from(error: E) -> Self {
        NoPage(error.to_string())
    }
}

impl IntoResponse for NoPage {
    fn into_response(self) -> Response {
        tracing::error!(cause = self.0, "the page cannot be made");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

fn by_default(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
