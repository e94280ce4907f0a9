//! Pages in headless Chromium for tests, driven by chromedriver. Tests wait for CSS selectors to match.
//!
//! The variables `CHROMIUM` and `CHROMEDRIVER` contain the programs' paths; without them the programs of the `PATH`
//! run. `bin/test` installs them.

mod driver;

use std::future::Future;
use std::io::Write;
use std::time::Duration;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::time::timeout;

/// The time limit of every wait, for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1400",
];

/// The height of the window in tests of its width, in pixels.
const HEIGHT: u32 = 900;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Opens a browser for this test, runs `scenario`, and closes the browser after every outcome. Without an installed
/// browser the test is reported as skipped.
///
/// # Panics
/// When the browser does not start or does not end, or the scenario panics.
pub async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    let [chromium, chromedriver] = match driver::programs() {
        Ok(programs) => programs,
        Err(missing) => return skip(test, &missing),
    };
    let profile = tempfile::tempdir().unwrap();
    let (_chromedriver, driver_port) = driver::start(&chromedriver).await;
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(chromium.to_str().expect("a path in UTF-8")).unwrap();
    capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    for flag in FLAGS {
        capabilities.add_arg(flag).unwrap();
    }
    let driver = WebDriver::new(format!("http://127.0.0.1:{driver_port}"), capabilities).await.unwrap();
    let outcome = driver.run_and_quit(async |driver| {
        scenario(Browser { driver, test: test.to_owned() }).await;
        WebDriverResult::Ok(())
    });
    outcome.await.unwrap();
}

/// Reports on standard error that a test of a page is skipped, and the missing requirement.
pub fn skip(test: &str, missing: &str) {
    // Not `eprintln`, whose output libtest hides when a test passes.
    let line = format!("SKIPPED the page's test {test:?}: {missing}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A running browser.
#[derive(Clone)]
pub struct Browser {
    driver: WebDriver,
    test: String,
}

impl Browser {
    /// Opens a page in a window of its own. A page behind another tab would be hidden, and clients of hidden pages do
    /// not reconnect.
    pub async fn open(&self, url: &str) -> Page {
        let window = self.driver.new_window().await.unwrap();
        self.driver.switch_to_window(window.clone()).await.unwrap();
        self.driver.goto(url).await.unwrap();
        Page { driver: self.driver.clone(), window, test: self.test.clone() }
    }
}

/// An open page. The driver accesses one page of a browser at a time.
pub struct Page {
    driver: WebDriver,
    window: WindowHandle,
    test: String,
}

impl Page {
    /// Navigates to another URL.
    pub async fn goto(&self, url: &str) {
        self.driver().await.goto(url).await.unwrap();
    }

    /// Closes the page.
    pub async fn close(self) {
        self.driver().await.close_window().await.unwrap();
    }

    /// Waits until an element matches the selector.
    ///
    /// # Panics
    /// When none matches within 30 s; the message has the path of a screenshot.
    pub async fn shows(&self, selector: &str) {
        if !self.shows_within(DEADLINE, selector).await {
            let picture = std::env::temp_dir().join(format!("{}.png", self.test));
            let taken = self.driver.screenshot(&picture).await.map(|()| picture);
            panic!("the page does not show {selector}; screenshot: {taken:?}");
        }
    }

    /// Returns whether an element matches the selector within `time`.
    pub async fn shows_within(&self, time: Duration, selector: &str) -> bool {
        self.driver().await.query(By::Css(selector)).wait(time, POLL_INTERVAL).exists().await.unwrap()
    }

    /// Clicks the first element that matches the selector.
    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Returns the visible text of the first element that matches the selector.
    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    /// Replaces the text of a field by typing.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Runs a script in the page and returns the value that the script passes to `done`.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        let result = timeout(DEADLINE, self.driver().await.execute_async(script, Vec::new())).await;
        result.expect("the script did not end before the deadline").unwrap().json().clone()
    }

    /// Returns the elements that extend past the page or overlap others, for windows of these `widths` in pixels. Wait
    /// first until the page shows its content.
    pub async fn layout_faults(&self, widths: impl IntoIterator<Item = u32>) -> Vec<String> {
        let devtools = self.driver().await.cdp();
        let mut faults = Vec::new();
        for width in widths {
            devtools.emulation().set_device_metrics_override(width, HEIGHT, 1.0, false).await.unwrap();
            let found = self.script(include_str!("layout.js")).await;
            let found = found.as_array().expect("a list of faults").iter();
            faults.extend(found.map(|fault| format!("{width} px: {}", fault.as_str().expect("a text"))));
        }
        faults
    }

    /// Returns the errors in the browser's console, such as exceptions of scripts and refused resources.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.driver().await.browser_log().await.unwrap();
        entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// Returns the driver after switching it to this page.
    async fn driver(&self) -> &WebDriver {
        self.driver.switch_to_window(self.window.clone()).await.unwrap();
        &self.driver
    }

    async fn find(&self, selector: &str) -> WebElement {
        self.driver().await.query(By::Css(selector)).wait(DEADLINE, POLL_INTERVAL).first().await.unwrap()
    }
}
