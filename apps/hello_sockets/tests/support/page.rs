//! The page of a server in headless Chromium. It needs the Phoenix client, which `bin/test` installs; without it a test
//! is reported as skipped.

use std::future::Future;
use test_browser::{Browser, Page};

/// Opens a server's first page in a browser of its own, runs `scenario`, and closes the browser after every outcome.
pub(crate) async fn with_page<F: Future<Output = ()>>(test: &str, port: u16, scenario: impl FnOnce(Page) -> F) {
    with_browser(test, async |browser| scenario(browser.open(&format!("http://localhost:{port}/")).await).await).await;
}

/// Like [`with_page`], for several pages.
pub(crate) async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    test_browser::with_browsers_of("hello_sockets", test, |[browser]| scenario(browser)).await;
}
