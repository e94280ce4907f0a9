//! Pages in headless Chromium for tests, driven by chromedriver. Tests wait for CSS selectors to match.
//!
//! A test starts one chromedriver, and one browser or several with cookies of their own. [`Device`] sets the window, the
//! colours and the pointer of a page.
//!
//! The variables `CHROMIUM` and `CHROMEDRIVER` contain the programs' paths; without them the programs of the `PATH`
//! run. `bin/test` installs them, and axe-core.

mod device;
mod driver;

pub use device::Device;
pub use thirtyfour::Key;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use serde_json::{Value, json};
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel, TypingData};
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

/// The script of axe-core, which npm installs.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node_modules/axe-core/axe.min.js");

/// Opens a browser for this test, runs `scenario`, and closes the browser after every outcome. Without an installed
/// browser the test is reported as skipped.
///
/// # Panics
/// When the browser does not start or does not end, or the scenario panics.
pub async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    with_browsers(test, |[browser]| scenario(browser)).await;
}

/// Like [`with_browser`], for several browsers. They have one chromedriver, and each has its own cookies and storage.
pub async fn with_browsers<const N: usize, F: Future<Output = ()>>(
    test: &str,
    scenario: impl FnOnce([Browser; N]) -> F,
) {
    let [chromium, chromedriver] = match driver::programs() {
        Ok(programs) => programs,
        Err(missing) => return skip(test, &missing),
    };
    let (_chromedriver, driver_port) = driver::start(&chromedriver).await;
    let profiles: [TempDir; N] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let mut drivers = Vec::new();
    let outcome = AssertUnwindSafe(async {
        for profile in &profiles {
            drivers.push(start_browser(&chromium, driver_port, profile.path()).await);
        }
        scenario(std::array::from_fn(|n| Browser { driver: drivers[n].clone(), test: test.to_owned() })).await;
    });
    let outcome = outcome.catch_unwind().await;
    // All browsers are closed before the first failure is reported.
    let mut closed = Ok(());
    for driver in drivers {
        closed = closed.and(driver.quit().await);
    }
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
    closed.unwrap();
}

async fn start_browser(chromium: &Path, driver_port: u16, profile: &Path) -> WebDriver {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(chromium.to_str().expect("a path in UTF-8")).unwrap();
    capabilities.add_arg(&format!("--user-data-dir={}", profile.display())).unwrap();
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    for flag in FLAGS {
        capabilities.add_arg(flag).unwrap();
    }
    WebDriver::new(format!("http://127.0.0.1:{driver_port}"), capabilities).await.unwrap()
}

/// Like [`with_browsers`], for the pages of an application: a test is also skipped while npm has not installed the
/// application's Phoenix client.
///
/// # Panics
/// As [`with_browser`].
pub async fn with_browsers_of<const N: usize, F: Future<Output = ()>>(
    app: &str,
    test: &str,
    scenario: impl FnOnce([Browser; N]) -> F,
) {
    let assets = format!("apps/{app}/assets");
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&assets).join("node_modules/phoenix").exists() {
        return skip(test, &format!("the Phoenix client is not installed: run npm ci --prefix {assets}"));
    }
    with_browsers(test, scenario).await;
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

    /// Returns to the page before, as the browser's Back button does.
    pub async fn back(&self) {
        self.driver().await.back().await.unwrap();
    }

    /// Closes the page.
    pub async fn close(self) {
        self.driver().await.close_window().await.unwrap();
        // The driver opens further pages from the window that it is in; the browser's own first window is always there.
        let windows = self.driver.windows().await.unwrap();
        self.driver.switch_to_window(windows.into_iter().next().expect("the first window")).await.unwrap();
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

    /// Presses keys in the focused element, such as `Key::Tab` or `Key::Shift + Key::Tab`.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.driver().await.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Gives the page the window, the colours and the pointer of a device, until the next call.
    pub async fn emulate(&self, device: Device) {
        for (command, parameters) in device.commands() {
            self.devtools(command, parameters).await;
        }
    }

    /// Disconnects the page from the network, or connects it again. Chromium keeps WebSockets that are already open.
    pub async fn offline(&self, is_offline: bool) {
        let throughput =
            json!({ "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", throughput).await;
    }

    /// Disables the scripts of the documents that the page loads from now on, or enables them again.
    pub async fn without_scripts(&self, is_without: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": is_without })).await;
    }

    /// Writes a picture of the whole page, also of its part below the window, as a PNG file. Creates the file's
    /// directory.
    pub async fn screenshot(&self, path: impl AsRef<Path>) {
        let options = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", options).await;
        let picture = STANDARD.decode(picture["data"].as_str().expect("a picture in base64")).unwrap();
        std::fs::create_dir_all(path.as_ref().parent().expect("a file in a directory")).unwrap();
        std::fs::write(path, picture).unwrap();
    }

    /// Returns the compressed size of the page and of all that it has loaded, in bytes and without headers. Responses
    /// from the cache count too.
    pub async fn transferred_bytes(&self) -> u64 {
        let script = "done([...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0))";
        self.script(script).await.as_u64().expect("a number of bytes")
    }

    /// Returns the violations of accessibility rules that axe-core finds, each with its rule, element and remedy. Without
    /// axe-core the test is reported as skipped and the result is empty.
    pub async fn accessibility_faults(&self) -> Vec<String> {
        let Ok(axe) = std::fs::read_to_string(AXE) else {
            skip(&self.test, "axe-core is not installed: run npm ci --prefix conformance/browser");
            return Vec::new();
        };
        self.driver().await.execute(axe, Vec::new()).await.unwrap();
        let faults = self.script(include_str!("accessibility.js")).await;
        let faults = faults.as_array().expect("a list of faults").iter();
        faults.map(|fault| fault.as_str().expect("a text").to_owned()).collect()
    }

    /// Runs a script in the page and returns the value that the script passes to `done`.
    pub async fn script(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        let result = timeout(DEADLINE, self.driver().await.execute_async(script, Vec::new())).await;
        result.expect("the script did not end before the deadline").unwrap().json().clone()
    }

    /// Returns the elements that extend past the page or overlap others, for windows of these `widths` in pixels. Wait
    /// first until the page shows its content.
    pub async fn layout_faults(&self, widths: impl IntoIterator<Item = u32>) -> Vec<String> {
        let mut faults = Vec::new();
        for width in widths {
            let window = json!({ "width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false });
            self.devtools("Emulation.setDeviceMetricsOverride", window).await;
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

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver().await.cdp().send_raw(command, parameters).await.unwrap()
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
