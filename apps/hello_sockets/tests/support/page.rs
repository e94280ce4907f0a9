//! The page in headless Chromium, driven by chromedriver. What one waits for is a CSS selector that matches in time.
//!
//! The programs are those that `CHROMIUM` and `CHROMEDRIVER` name, or else those of the `PATH`; `bin/test` installs
//! them. Without them there is no page, and the test says that it is skipped.

use super::DEADLINE;
use std::env;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

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

const POLL_EVERY: Duration = Duration::from_millis(50);

/// Opens a server's first page in a browser of its own, plays `scenario`, and closes the browser however that ended.
pub(crate) async fn with_page<F: Future<Output = ()>>(test: &str, port: u16, scenario: impl FnOnce(Page) -> F) {
    with_browser(test, async |browser| scenario(browser.open(&format!("http://localhost:{port}/")).await).await).await;
}

/// As [`with_page`], for several pages.
pub(crate) async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    let [chromium, chromedriver] = match programs() {
        Ok(programs) => programs,
        Err(missing) => return skipped(test, &missing),
    };
    let profile = tempfile::tempdir().unwrap();
    let (_chromedriver, driver_port) = start(&chromedriver).await;
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
pub(crate) fn skipped(test: &str, missing: &str) {
    // Not `eprintln`, which is kept from sight when a test passes.
    let line = format!("SKIPPED the page's test {test:?}: {missing}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A browser without a page yet.
#[derive(Clone)]
pub(crate) struct Browser {
    driver: WebDriver,
    test: String,
}

impl Browser {
    /// Opens a page in a window of its own: behind another tab it would be hidden, and clients of hidden pages do not
    /// reconnect.
    pub(crate) async fn open(&self, url: &str) -> Page {
        let window = self.driver.new_window().await.unwrap();
        self.driver.switch_to_window(window.clone()).await.unwrap();
        self.driver.goto(url).await.unwrap();
        Page { driver: self.driver.clone(), window, test: self.test.clone() }
    }
}

/// A page that is open. Pages of one browser are looked at one after another.
pub(crate) struct Page {
    driver: WebDriver,
    window: WindowHandle,
    test: String,
}

impl Page {
    /// The page goes to another URL.
    pub(crate) async fn goto(&self, url: &str) {
        self.driver().await.goto(url).await.unwrap();
    }

    /// The page is closed.
    pub(crate) async fn close(self) {
        self.driver().await.close_window().await.unwrap();
    }

    /// Waits until the page has an element like this.
    pub(crate) async fn shows(&self, selector: &str) {
        if !self.shows_within(DEADLINE, selector).await {
            let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.png", self.test));
            let taken = self.driver.screenshot(&picture).await.map(|()| picture);
            panic!("the page does not show {selector}; what it shows: {taken:?}");
        }
    }

    /// Whether the page has an element like this before a time has passed.
    pub(crate) async fn shows_within(&self, time: Duration, selector: &str) -> bool {
        self.driver().await.query(By::Css(selector)).wait(time, POLL_EVERY).exists().await.unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Runs a script of the page's own kind, which hands its result to `done`.
    pub(crate) async fn script(&self, script: &str) -> serde_json::Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        let result = timeout(DEADLINE, self.driver().await.execute_async(script, Vec::new())).await;
        result.expect("the script did not end before the deadline").unwrap().json().clone()
    }

    /// What the browser's console has to complain of: an error in a script, a resource that was refused.
    pub(crate) async fn complaints(&self) -> Vec<String> {
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

/// Chromium and chromedriver, or what is missing.
fn programs() -> Result<[PathBuf; 2], String> {
    let find = |variable, name| {
        let named = env::var_os(variable).map(PathBuf::from);
        let path = env::var_os("PATH").unwrap_or_default();
        let installed =
            || env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.exists());
        named.or_else(installed).ok_or_else(|| format!("there is no {name} in the PATH, and {variable} names none"))
    };
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/node_modules/phoenix");
    if !client.exists() {
        return Err("the page lacks the Phoenix client: npm ci --prefix apps/hello_sockets/assets".to_owned());
    }
    Ok([find("CHROMIUM", "chromium")?, find("CHROMEDRIVER", "chromedriver")?])
}

/// Starts chromedriver on a free port, which it tells.
async fn start(chromedriver: &Path) -> (Child, u16) {
    let mut command = Command::new(chromedriver);
    let mut child = command.arg("--port=0").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = async {
        while let Some(line) = output.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return port.trim_end_matches('.').parse().unwrap();
            }
        }
        panic!("chromedriver ended before it listened");
    };
    let port = timeout(DEADLINE, port).await.expect("chromedriver did not start before the deadline");
    // What it says later is of no use, but must go somewhere: a closed pipe would end it.
    tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
    (child, port)
}
