//! Pages in headless Chromium for tests, driven by chromedriver. What one waits for is a CSS selector that matches in time.
//!
//! The programs are those that `CHROMIUM` and `CHROMEDRIVER` name, or else those of the `PATH`; `bin/test` installs them.

mod driver;

use std::future::Future;
use std::io::Write;
use std::time::Duration;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::time::timeout;

/// How long anything may take; a busy machine may need a while.
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

/// Of a window, in pixels, where its width is what matters.
const HEIGHT: u32 = 900;

const POLL_EVERY: Duration = Duration::from_millis(50);

/// Opens a browser of the test's own, plays `scenario`, and closes it however that ended. Where there is none, the test says
/// that it is skipped.
///
/// # Panics
/// When the browser does not start or does not end, and whenever the scenario does.
pub async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    let [chromium, chromedriver] = match driver::programs() {
        Ok(programs) => programs,
        Err(missing) => return skipped(test, &missing),
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
    let played = driver.run_and_quit(async |driver| {
        scenario(Browser { driver, test: test.to_owned() }).await;
        WebDriverResult::Ok(())
    });
    played.await.unwrap();
}

/// Says that a test of the page is skipped, and why.
pub fn skipped(test: &str, missing: &str) {
    // Not `eprintln`, which is kept from sight when a test passes.
    let line = format!("SKIPPED the page's test {test:?}: {missing}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A browser without a page yet.
#[derive(Clone)]
pub struct Browser {
    driver: WebDriver,
    test: String,
}

impl Browser {
    /// Opens a page in a window of its own: behind another tab it would be hidden, and clients of hidden pages do not
    /// reconnect.
    pub async fn open(&self, url: &str) -> Page {
        let window = self.driver.new_window().await.unwrap();
        self.driver.switch_to_window(window.clone()).await.unwrap();
        self.driver.goto(url).await.unwrap();
        Page { driver: self.driver.clone(), window, test: self.test.clone() }
    }
}

/// A page that is open. Pages of one browser are looked at one after another.
pub struct Page {
    driver: WebDriver,
    window: WindowHandle,
    test: String,
}

impl Page {
    /// The page goes to another URL.
    pub async fn goto(&self, url: &str) {
        self.driver().await.goto(url).await.unwrap();
    }

    /// The page is closed.
    pub async fn close(self) {
        self.driver().await.close_window().await.unwrap();
    }

    /// Waits until the page has an element like this.
    pub async fn shows(&self, selector: &str) {
        if !self.shows_within(DEADLINE, selector).await {
            let picture = std::env::temp_dir().join(format!("{}.png", self.test));
            let taken = self.driver.screenshot(&picture).await.map(|()| picture);
            panic!("the page does not show {selector}; what it shows: {taken:?}");
        }
    }

    /// Whether the page has an element like this before a time has passed.
    pub async fn shows_within(&self, time: Duration, selector: &str) -> bool {
        self.driver().await.query(By::Css(selector)).wait(time, POLL_EVERY).exists().await.unwrap()
    }

    /// Clicks on the first element like this.
    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// The text of the first element like this, as it is shown.
    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    /// Types a text into a field in place of what is there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Runs a script of the page's own kind, which hands its result to `done`.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        let result = timeout(DEADLINE, self.driver().await.execute_async(script, Vec::new())).await;
        result.expect("the script did not end before the deadline").unwrap().json().clone()
    }

    /// What sticks out of the page, or lies on something else, at windows of these widths in pixels. Wait first for what the page
    /// should show.
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

    /// What the browser's console has to complain of: an error in a script, a resource that was refused.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.driver().await.browser_log().await.unwrap();
        entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// The driver, which looks at this page.
    async fn driver(&self) -> &WebDriver {
        self.driver.switch_to_window(self.window.clone()).await.unwrap();
        &self.driver
    }

    async fn find(&self, selector: &str) -> WebElement {
        self.driver().await.query(By::Css(selector)).wait(DEADLINE, POLL_EVERY).first().await.unwrap()
    }
}
