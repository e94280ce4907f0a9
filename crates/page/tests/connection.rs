//! `page.js` with the official client in headless Chromium, while its server restarts with the same or another secret.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use bennu::prelude::*;
use bennu::token::Secret;
use bennu::{Drained, Endpoint};
use bennu_page::{Files, PERSONAL, phoenix_client, shell};
use std::future::Future;
use std::io;
use std::path::Path;
use test_browser::{Browser, Device, Page, skip};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The directory in which `bin/test` installs the official client.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients");

/// A spread of retries that exceeds every test, so that only another event than the next attempt reconnects a page.
const HOURS_MS: u32 = 500_000_000;

/// The page's script. The fragment of the page's URL is the spread of its retries.
const SCRIPT: &str = r#"
    import { Socket } from "/assets/phoenix.mjs";
    import { connect, meta } from "/assets/page.js";
    const spreadMs = Number(location.hash.slice(1)) || undefined;
    globalThis.connection = connect("/socket", { Socket, spreadMs, params: () => ({ token: meta("user-token") }) });
    globalThis.room = connection.socket.channel("room");
    room.join();
    addEventListener("pageshow", ({ persisted }) => { document.documentElement.dataset.restored = persisted; });
"#;

struct UserSocket;

impl Socket for UserSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let _: u64 = request.verify("user", request.param("token")?, Token::ONE_DAY)?;
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Room>("room");
    }
}

struct Room;

impl Channel<UserSocket> for Room {
    async fn join(_: &str, _: Payload, _: &mut Context<UserSocket, Self>) -> Joined<Self> {
        accept(Room)
    }
}

/// A server with one page, on a port that its successor can have.
struct Server {
    port: u16,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<Drained>>,
}

impl Server {
    /// Starts a server whose page has a token for its socket. Port 0 selects a free port.
    fn start(port: u16, secret: &str) -> Self {
        Server::start_with(port, secret, |endpoint| {
            format!(r#"<meta name="user-token" content="{}">"#, endpoint.sign("user", &1_u64).unwrap())
        })
    }

    /// Like [`Server::start`], with this content in the head of the page.
    fn start_with(port: u16, secret: &str, head: fn(&Endpoint) -> String) -> Self {
        let endpoint = Endpoint::new(Secret::new(secret.repeat(64)).unwrap());
        let page = async move |State(endpoint): State<Endpoint>| {
            let head = head(&endpoint);
            let body = r#"<main><p>Shoppers: <b id="shoppers" data-live>1,204</b> <span class="pill" id="state"></span></p></main>"#;
            Html(format!(
                r#"<!doctype html><html lang="en"><title>A page</title><link rel="stylesheet" href="/assets/plain.css">
                   <script type="module" src="/assets/test.js"></script>{head}{body}"#
            ))
        };
        let files = Files::new().file("test.js", SCRIPT).client(CLIENTS);
        let pages = Router::new()
            .route("/", get(page))
            .route("/elsewhere", get(async || (PERSONAL, Html("<!doctype html><p id=elsewhere>Elsewhere"))))
            .with_state(endpoint.clone());
        let socket = bennu::socket::<UserSocket>("/socket").longpoll(true).router(&endpoint).unwrap();
        let app = shell(pages.merge(files.routes("/assets"))).merge(socket);
        let listener = bennu::bind(([127, 0, 0, 1], port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = bennu::serve(listener, app, &endpoint).with_graceful_shutdown(async { _ = stopped.await });
        Server { port, stop, serving: tokio::spawn(serve.into_future()) }
    }

    /// Drains the server and returns its port.
    async fn stop(self) -> u16 {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.port
    }
}

/// Opens the page of a server whose secret consists of `a`s, and waits until it is connected.
async fn with_page<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Page, Server, Browser) -> F) {
    if !Path::new(&phoenix_client(CLIENTS)).exists() {
        return skip(test, "the Phoenix client is not installed: run npm ci --prefix clients");
    }
    let server = Server::start(0, "a");
    test_browser::with_browser(test, async |browser| {
        let page = browser.open(&format!("http://localhost:{}/", server.port)).await;
        is_joined(&page).await;
        scenario(page, server, browser).await;
    })
    .await;
}

/// Waits until the connection is open and the channel is joined.
async fn is_joined(page: &Page) {
    page.shows("#state[data-state=open]").await;
    let joined = "const wait = () => room.state === 'joined' ? done(true) : setTimeout(wait, 20); wait()";
    assert_eq!(page.script(joined).await, true);
}

#[tokio::test]
async fn the_page_shows_the_age_of_its_figures_while_the_server_is_away_and_recovers_by_itself() {
    with_page("lost", async |page, server, _browser| {
        let colour = "done(getComputedStyle(document.querySelector('#shoppers')).color)";
        let live = page.script(colour).await;
        let port = server.stop().await;
        page.shows(":root[data-link=lost] #state[data-state=retry]").await;
        let bar = page.text(".link-bar[role=status][data-state=lost]").await;
        let words = bar.trim_start_matches("↻ ").replace(|digit: char| digit.is_ascii_digit(), "0");
        assert_eq!(words, "Connection lost at 00:00:00; trying again. Figures as of 00:00:00.");
        // The colour changes in a transition.
        page.script("Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => done())").await;
        assert_ne!(page.script(colour).await, live);

        let _again = Server::start(port, "a");
        is_joined(&page).await;
        page.shows(":root:not([data-link]) .link-bar[data-state=hidden]:empty").await;
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_with_another_secret_the_page_fetches_a_fresh_token_without_being_loaded_again() {
    with_page("fresh_token", async |page, server, _browser| {
        page.script("globalThis.before = document.querySelector('meta[name=user-token]').content; done()").await;
        let port = server.stop().await;
        page.shows("#state[data-state=retry]").await;
        let _again = Server::start(port, "b");
        is_joined(&page).await;
        let changed = "done(globalThis.before !== document.querySelector('meta[name=user-token]').content)";
        assert_eq!(page.script(changed).await, true);
    })
    .await;
}

#[tokio::test]
async fn a_page_that_the_server_no_longer_accepts_says_so_and_offers_to_load_itself_again() {
    with_page("expired", async |page, server, _browser| {
        let port = server.stop().await;
        // Its page has a token, and the server refuses it.
        let refusing = Server::start_with(port, "b", |_| r#"<meta name="user-token" content="forged">"#.to_owned());
        page.shows(":root[data-link=expired] #state[data-state=refused]").await;
        let bar = page.text(".link-bar[role=status][data-state=expired]").await;
        assert_eq!(bar.trim_start_matches("✕ "), "Signed out by a restart.\nReload");
        page.emulate(Device::PHONE).await;
        assert_eq!(page.layout_faults([360]).await, [""; 0]);

        let port = refusing.stop().await;
        let _again = Server::start(port, "b");
        page.click(".link-bar .button").await;
        is_joined(&page).await;
        page.shows(".link-bar:empty").await;
    })
    .await;
}

#[tokio::test]
async fn a_page_whose_token_is_gone_counts_as_signed_out() {
    with_page("signed_out", async |page, server, _browser| {
        let port = server.stop().await;
        let _again = Server::start_with(port, "b", |_| r#"<meta name="description" content="Sign in">"#.to_owned());
        page.shows(".link-bar[data-state=expired]").await;
    })
    .await;
}

#[tokio::test]
async fn a_restart_moves_no_tab_to_long_polling_once_a_websocket_has_worked() {
    with_page("transport", async |page, server, _browser| {
        page.shows("#state[data-transport=websocket]").await;
        // The first reply over the WebSocket is the proof.
        let proven =
            "const wait = () => connection.roundTripMs === undefined ? setTimeout(wait, 20) : done(true); wait()";
        assert_eq!(page.script(proven).await, true);
        let port = server.stop().await;
        // Several attempts fail, and the first one would be enough for the client's fallback.
        let failed = "const wait = () => connection.failures < 4 ? setTimeout(wait, 20) : done(true); wait()";
        assert_eq!(page.script(failed).await, true);
        let _again = Server::start(port, "a");
        is_joined(&page).await;
        page.shows("#state[data-state=open][data-transport=websocket]").await;
        let remembered = "done(sessionStorage.getItem('phx:fallback:LongPoll'))";
        assert_eq!(page.script(remembered).await, serde_json::Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_page_that_the_user_disconnected_stays_off_without_a_warning_until_it_is_connected_again() {
    with_page("off", async |page, server, _browser| {
        page.script("connection.disconnect(); done()").await;
        page.shows(":root:not([data-link]) #state[data-state=off]").await;
        let port = server.stop().await;
        let _again = Server::start(port, "b");
        page.script("connection.connect(); done()").await;
        is_joined(&page).await;
    })
    .await;
}

#[tokio::test]
async fn back_to_a_page_reconnects_it_at_once_from_the_back_forward_cache() {
    with_page("back", async |page, server, _browser| {
        page.script("globalThis.mark = 'kept'; done()").await;
        page.goto(&format!("http://localhost:{}/elsewhere", server.port)).await;
        page.shows("#elsewhere").await;
        page.back().await;
        is_joined(&page).await;
        page.shows(":root[data-restored=true]:not([data-link])").await;
        assert_eq!(page.script("done(globalThis.mark)").await, "kept");
    })
    .await;
}

#[tokio::test]
async fn a_page_that_regains_its_network_reconnects_without_waiting_for_the_next_attempt() {
    with_page("network", async |_page, server, browser| {
        let page = browser.open(&format!("http://localhost:{}/#{HOURS_MS}", server.port)).await;
        is_joined(&page).await;
        page.offline(true).await;
        let port = server.stop().await;
        let _again = Server::start(port, "a");
        page.shows(":root[data-link=lost] #state[data-state=retry]").await;
        page.offline(false).await;
        is_joined(&page).await;
        page.shows(".link-bar:empty").await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_wakes_up_with_a_dead_connection_replaces_it() {
    with_page("dead", async |_page, server, browser| {
        let page = browser.open(&format!("http://localhost:{}/#{HOURS_MS}", server.port)).await;
        is_joined(&page).await;
        page.script("globalThis.dead = connection.socket.conn; dead.send = () => {}; done()").await;
        page.script("document.dispatchEvent(new Event('visibilitychange')); done()").await;
        let replaced = "const wait = () => connection.socket.isConnected() && connection.socket.conn !== dead
            ? done(true) : setTimeout(wait, 20); wait()";
        assert_eq!(page.script(replaced).await, true);
        is_joined(&page).await;
    })
    .await;
}

#[tokio::test]
async fn retries_are_spread_at_random_around_the_steps_of_the_client() {
    with_page("spread", async |page, _server, _browser| {
        let script = r#"
            import("/assets/page.js").then(({ Connection }) => {
                let options;
                class Socket { constructor(_path, given) { options = given; } onOpen() {} onClose() {} onMessage() {} }
                const sample = (delay, tries) => Array.from({ length: 2000 }, () => delay(tries)).sort((a, b) => a - b);
                const summary = (times) => [times.at(0), times[1000], times.at(-1)].map(Math.round);
                new Connection("/socket", { Socket });
                const usual = [1, 2, 9, 10, 50].map((tries) => summary(sample(options.reconnectAfterMs, tries)));
                const joins = [1, 4].map((tries) => summary(sample(options.rejoinAfterMs, tries)));
                new Connection("/socket", { Socket, spreadMs: 20_000 });
                done([...usual, ...joins, summary(sample(options.reconnectAfterMs, 1))]);
            });
        "#;
        let summaries = page.script(script).await;
        // The client's step of each sample, which is the mean of the times.
        let steps = [500, 500, 2000, 5000, 5000, 1000, 10_000, 10_000];
        for (summary, step) in summaries.as_array().unwrap().iter().zip(steps) {
            let [least, median, most] = [0, 1, 2].map(|n| summary[n].as_i64().unwrap());
            assert!(least < step / 10 && most > step * 19 / 10 && most <= step * 2, "{step}: {summary}");
            assert!((median - step).abs() < step / 5, "{step}: {summary}");
        }
    })
    .await;
}
