//! The page and what it loads: `/`, `/assets/*.js`, `/assets/*.css`, and the official client, `/assets/phoenix.mjs`.
//!
//! The page is a template that was compiled in; the other files are read when they are asked for, so that one sees an
//! edit without starting again. Only files that were there at start, and the client, can be asked for at all.

use crate::socket::SALT;
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bennu::Endpoint;
use std::io;
use std::path::{Path, PathBuf};
use tower_http::services::ServeFile;
use tower_http::set_header::SetResponseHeaderLayer;

/// There is no login in this application: whoever opens the page is this user.
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

/// The routes of the page, with what it loads from `assets`.
///
/// # Errors
/// When the directory `assets` cannot be read.
pub(crate) fn routes(endpoint: &Endpoint, assets: &Path) -> io::Result<Router> {
    let mut routes = Router::new().route("/", get(index)).with_state(endpoint.clone());
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

/// The page, with a token that is its reader's own: nothing may keep it.
async fn index(State(endpoint): State<Endpoint>) -> Result<impl IntoResponse, NoPage> {
    let page = Index { auth_token: endpoint.sign(SALT, &USER_ID)?, user_id: USER_ID };
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(page.render()?)))
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
