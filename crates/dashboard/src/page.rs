//! The routes of the dashboard's page and its files, which are compiled into the crate.
//!
//! [`Dashboard::router`](crate::Dashboard::router) mounts them. The page contains the topic, so
//! [`Access`](crate::Access) guards it. The files contain no data and are open.

use crate::channel::Shared;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::sync::Arc;

const PAGE: &str = include_str!("../assets/index.html");

/// Name, content type, and content.
const FILES: [(&str, &str, &str); 5] = [
    ("dashboard.css", "text/css; charset=utf-8", include_str!("../assets/dashboard.css")),
    ("dashboard.js", JAVASCRIPT, include_str!("../assets/dashboard.js")),
    ("chart.js", JAVASCRIPT, include_str!("../assets/chart.js")),
    ("figure.js", JAVASCRIPT, include_str!("../assets/figure.js")),
    ("channel.js", JAVASCRIPT, include_str!("../assets/channel.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Only the server's own scripts, styles and connections are allowed, and no frame around the page. No referrer is
/// sent, since the page's URL may contain a token.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-cache"),
];

const FORBIDDEN: &str = "Access to this dashboard is denied. If it has a token, add ?token=... to the address.\n";

pub(crate) fn routes<S: Clone + Send + Sync + 'static>(path: &str, shared: Arc<Shared>) -> Router<S> {
    // The page's links are relative to its own path, so that a proxy may mount it under another path.
    let below = path.rsplit('/').next().unwrap_or_default().to_owned();
    let page = async move |Query(query): Query<HashMap<String, String>>, headers: HeaderMap| -> Response {
        if !shared.access.admits(query.get("token").map(String::as_str), &headers) {
            return (StatusCode::FORBIDDEN, HEADERS, FORBIDDEN).into_response();
        }
        let topic = shared.publisher.topic();
        let page = PAGE.replace("{{below}}", &below).replace("{{topic}}", topic);
        (HEADERS, Html(page)).into_response()
    };
    let mut routes = Router::new().route(path, get(page));
    for (name, kind, content) in FILES {
        let file = move || async move { (HEADERS, [(header::CONTENT_TYPE, kind)], content) };
        routes = routes.route(&format!("{path}/{name}"), get(file));
    }
    routes
}
