//! The page in headless Chromium, with the official client: it goes live and shows what happens.
//!
//! The programs are those that `CHROMIUM` and `CHROMEDRIVER` name, or else those of the `PATH`; `bin/test` installs them.
//! Without them the test says that it is skipped.

use bennu::prelude::*;
use bennu::token::Secret;
use bennu::{Drain, Endpoint};
use bennu_client::Client;
use bennu_dashboard::{Access, Dashboard};
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long anything may take; none is waited for as long.
const DEADLINE: Duration = Duration::from_secs(30);

struct Room;

impl<S: Socket> Channel<S> for Room {
    async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Result<Self, JoinError> {
        Ok(Room)
    }

    async fn handle_in(&mut self, event: &str, _payload: Payload, _ctx: &mut Context<S, Self>) -> Handled {
        if event == "say" { reply_ok(json!({})) } else { unhandled(event) }
    }
}

struct UserSocket;

impl Socket for UserSocket {
    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room:*");
    }
}

#[tokio::test]
async fn the_page_goes_live_and_shows_connections_channels_latencies_and_trouble() {
    let [chromium, chromedriver] = match programs() {
        Ok(programs) => programs,
        Err(missing) => {
            // Not `eprintln`, which is kept from sight when a test passes.
            return std::io::stderr()
                .write_all(format!("SKIPPED the dashboard's page: {missing}\n").as_bytes())
                .unwrap();
        }
    };
    let dashboard = Dashboard::new();
    metrics::set_global_recorder(dashboard.recorder()).unwrap();
    let endpoint = Endpoint::new(Secret::new("0123456789abcdef".repeat(4)).unwrap());
    let app = bennu::socket::<UserSocket>("/socket").router(&endpoint).unwrap();
    let app = app.merge(dashboard.router("/dashboard", &endpoint, Access::token("sesame")).unwrap());
    let listener = bennu::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        bennu::serve(listener, app, &endpoint, Drain::default(), async { _ = stopped.await }).await
    });

    let (_chromedriver, driver_port) = start(&chromedriver).await;
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(chromium.to_str().expect("a path in UTF-8")).unwrap();
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    for flag in ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000"] {
        capabilities.add_arg(flag).unwrap();
    }
    let driver = WebDriver::new(format!("http://127.0.0.1:{driver_port}"), capabilities).await.unwrap();
    let played = driver.run_and_quit(async |driver| {
        driver.goto(format!("http://localhost:{port}/dashboard?token=sesame")).await?;
        shows(&driver, "#state[data-state=open]").await;
        shows(&driver, "[data-figure=connections][data-value='0']").await;
        shows(&driver, "#trouble .none").await;

        let client = Client::connect(format!("ws://127.0.0.1:{port}/socket")).await.unwrap();
        let room = client.join("room:1", json!({})).await.unwrap();
        room.push("say", json!({})).await.unwrap();
        shows(&driver, "[data-figure=connections][data-value='1']").await;
        shows(&driver, "[data-figure=channels][data-value='1']").await;
        shows(&driver, "#channels [data-channel=Room]").await;
        shows(&driver, "[data-chart=handle] .line").await;

        let _ = room.push("nobody handles this", json!({})).await;
        shows(&driver, "#channels [data-channel=Room] .bad").await;
        shows(&driver, "#trouble li:not(.none)").await;
        let log = driver.browser_log().await?;
        let complaints: Vec<_> = log.iter().filter(|entry| entry.level == "SEVERE").collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        WebDriverResult::Ok(())
    });
    played.await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap();
}

/// Waits until the page has an element like this.
async fn shows(driver: &WebDriver, selector: &str) {
    let query = driver.query(By::Css(selector)).wait(DEADLINE, Duration::from_millis(50));
    if !query.exists().await.unwrap() {
        let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard.png");
        let taken = driver.screenshot(&picture).await.map(|()| picture);
        panic!("the page does not show {selector}; what it shows: {taken:?}");
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
