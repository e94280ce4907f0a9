//! The page shell that applications on Bennu share: a style sheet, the connections of a page, the files that a page
//! loads, and the headers and the compression of its responses.
//!
//! - `plain.css` ([`PLAIN_CSS`]) has the tokens, the base and ten parts of every page, for light, dark and forced colours.
//! - `page.js` ([`PAGE_JS`]) connects a page with the official client, shows the state of the connection, and recovers
//!   from restarts of the server.
//! - [`Files`] are the files that pages load, from memory or from a directory.
//! - [`shell`] adds the security headers and the compression to pages and files.
//! - [`parts`] is a page with every part in every state, for development.
//!
//! ```
//! use axum::{Router, response::Html, routing::get};
//! use bennu_page::{Files, PERSONAL, shell};
//!
//! async fn account() -> ([(axum::http::HeaderName, &'static str); 1], Html<&'static str>) {
//!     (PERSONAL, Html("<!doctype html><title>Account</title><meta name=\"user-token\" content=\"…\">"))
//! }
//!
//! let files = Files::new().file("app.css", "@layer app { h1 { color: var(--accent); } }");
//! let app: Router = shell(Router::new().route("/account", get(account)).merge(files.routes("/assets")));
//! // Sockets are merged afterwards, so that their frames and polls are not compressed:
//! // let app = app.merge(bennu::socket::<UserSocket>("/socket").router(&endpoint)?);
//! ```

mod files;
mod parts;
mod shell;

pub use files::{Files, phoenix_client};
pub use parts::parts;
pub use shell::{CONTENT_SECURITY_POLICY, PERSONAL, shell};

/// The style sheet `plain.css`.
pub const PLAIN_CSS: &str = include_str!("../assets/plain.css");

/// The module `page.js`; its comments document its exports.
pub const PAGE_JS: &str = include_str!("../assets/page.js");
