//! The headers and the compression of pages and of their files.
//!
//! Applications and the dashboard pass their routers to [`shell`]. A header that a handler has set itself is kept.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The policy of every page: scripts, styles, forms and connections of the own origin only, no inline script or style,
/// and no frame around the page. Pictures may be `data:` URLs.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The header of a page with a token or with a user's data, which no cache may store.
///
/// Pages without it are `no-cache`: a browser stores them, keeps them for its Back button, and revalidates them.
pub const PERSONAL: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store, must-revalidate")];

/// The headers of responses that do not set them.
const DEFAULTS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-cache"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Adds the security headers, `cache-control: no-cache`, and compression with brotli or gzip to the routes that
/// `pages` has at the time of the call.
///
/// Call it before the router is merged with sockets: a long poll is short, and compressing it costs more than it saves.
/// Each response is compressed anew. A page that repeats input of its request beside a secret must use a secret that
/// differs in each response, as signed tokens do; otherwise the length of the response discloses the secret.
///
/// ```
/// use axum::{Router, routing::get};
///
/// let pages: Router = bennu_page::shell(Router::new().route("/", get(async || "a page")));
/// ```
pub fn shell<S: Clone + Send + Sync + 'static>(pages: Router<S>) -> Router<S> {
    let pages = pages.layer(CompressionLayer::new());
    DEFAULTS.into_iter().fold(pages, |pages, (name, value)| {
        pages.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}
