//! The page of a server in headless Chromium. It needs the Phoenix client, which `bin/test` installs; without it a test
//! is reported as skipped.

use std::future::Future;
use std::path::Path;
use test_browser::{Browser, Page, skip};

/// Opens a server's first page in a browser of its own, runs `scenario`, and closes the browser after every outcome.
pub(crate) async fn with_page<F: Future<Output = ()>>(test: &str, port: u16, scenario: impl FnOnce(Page) -> F) {
    with_browser(test, async |browser| scenario(browser.open(&format!("http://localhost:{port}/")).await).await).await;
}

/// Like [`with_page`], for several pages.
pub(crate) async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/node_modules/phoenix").exists() {
        return skip(test, "the Phoenix client is not installed: run npm ci --prefix apps/hello_sockets/assets");
    }
    test_browser::with_browser(test, scenario).await;
}
