//! The routes of the dashboard's page and its files, which are compiled into the crate.
//!
//! [`Dashboard::router`](crate::Dashboard::router) mounts them. The page contains the topic, so
//! [`Access`](crate::Access) guards it. The files contain no data and are open.

use crate::channel::Shared;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bennu_page::{Files, shell};
use std::collections::HashMap;
use std::sync::Arc;

const PAGE: &str = include_str!("../assets/index.html");

/// Name and content.
const FILES: [(&str, &str); 5] = [
    ("dashboard.css", include_str!("../assets/dashboard.css")),
    ("dashboard.js", include_str!("../assets/dashboard.js")),
    ("chart.js", include_str!("../assets/chart.js")),
    ("figure.js", include_str!("../assets/figure.js")),
    ("socket.js", include_str!("../assets/socket.js")),
];

const FORBIDDEN: &str = "Access to this dashboard is denied. If it has a token, add ?token=... to the address.\n";

pub(crate) fn routes<S: Clone + Send + Sync + 'static>(path: &str, shared: Arc<Shared>) -> Router<S> {
    // The page's links are relative to its own path, so that a proxy may mount it under another path.
    let below = path.rsplit('/').next().unwrap_or_default().to_owned();
    let page = async move |Query(query): Query<HashMap<String, String>>, headers: HeaderMap| -> Response {
        if !shared.access.admits(query.get("token").map(String::as_str), &headers) {
            return (StatusCode::FORBIDDEN, FORBIDDEN).into_response();
        }
        let topic = shared.publisher.topic();
        Html(PAGE.replace("{{below}}", &below).replace("{{topic}}", topic)).into_response()
    };
    let files = FILES.into_iter().fold(Files::new(), |files, (name, content)| files.file(name, content));
    shell(Router::new().route(path, get(page)).merge(files.routes(path)).layer(map_response(without_referrer)))
}

/// Sets the policy that no referrer is sent, since the page's URL may contain a token.
async fn without_referrer(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
