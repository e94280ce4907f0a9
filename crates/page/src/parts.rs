//! The page of all parts in all states, which applications mount in development and which the browser tests examine.

use crate::shell::shell;
use axum::Router;
use axum::response::Html;
use axum::routing::get;

/// Returns a router with the page `/parts` and its files. It shows every part of `plain.css` in every state.
///
/// ```
/// let mut app: axum::Router = axum::Router::new();
/// if cfg!(debug_assertions) {
///     app = app.merge(bennu_page::parts());
/// }
/// ```
pub fn parts<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let files = crate::Files::new().file("parts.css", include_str!("../assets/parts.css"));
    let files = files.file("parts.js", include_str!("../assets/parts.js"));
    let page = get(async || Html(include_str!("../assets/parts.html")));
    shell(Router::new().route("/parts", page).merge(files.routes("/parts")))
}
