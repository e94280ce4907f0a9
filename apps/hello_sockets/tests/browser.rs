//! The page with the official Phoenix client in headless Chromium. `assets/index.html` documents the ids and attributes
//! of the selectors.

mod support;

use support::page::with_page;
use support::program::HELLO;
use support::proxy::Proxy;
use test_browser::{Device, Page, skip};
use test_program::{Login, Program, Signal};

/// Widths of the window in pixels.
const WIDTHS: [u32; 8] = [360, 480, 640, 768, 1024, 1200, 1440, 1920];

#[tokio::test]
async fn the_page_connects_joins_and_shows_the_effects_of_its_buttons() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("buttons", program.port, async |page| {
        page_is_connected(&page).await;
        page.shows("#socket-state[data-transport=websocket]").await;

        page.click("#ping").await;
        page.shows(r#"#log > [data-topic=ping][data-direction=in][data-status=ok][data-payload*='"ping":"pong"']"#)
            .await;
        page.click("#param-error").await;
        page.shows(r#"#log > [data-topic=ping][data-status=error][data-payload*='You asked for this!']"#).await;
        page.shows("[data-channel=ping] [data-result][data-outcome=error]").await;

        page.click("#crash").await;
        page.shows("#log > [data-topic=ping][data-event=phx_error][data-direction=in]").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=rejoined]").await;
        page.shows("[data-channel=ping] [data-state=joined]").await;
        page.click("#ping").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=ok]").await;

        page.click("#wild-join").await;
        page.shows("[data-channel='wild:1:2'] [data-state=joined]").await;
        page.fill("#wild-b", "3").await;
        page.click("#wild-join").await;
        page.shows("[data-channel='wild:1:3'] [data-state=refused]").await;

        page.fill("#user-id", "2").await;
        page.click("#user-join").await;
        page.shows("[data-channel='user:2'] [data-state=refused]").await;
        page.shows("#log > [data-topic='user:2'][data-status=error][data-payload*=unauthorized]").await;

        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn no_element_of_the_pages_overflows_or_overlaps_from_a_phone_to_a_desktop() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("layout", program.port, async |page| {
        page_is_connected(&page).await;
        assert_eq!(page.layout_faults(WIDTHS).await, [""; 0]);
        page.goto(&format!("http://localhost:{}/tracked", program.port)).await;
        page.shows("[data-channel=tracked] [data-state=joined]").await;
        assert_eq!(page.layout_faults(WIDTHS).await, [""; 0]);
        page.goto(&format!("http://localhost:{}/dashboard", program.port)).await;
        page.shows("#state[data-state=open]").await;
        assert_eq!(page.layout_faults(WIDTHS).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_official_client_in_the_browser_sends_binary_data_and_times_a_push_without_a_reply_out() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("client", program.port, async |page| {
        page_is_connected(&page).await;
        let script = r#"
            import("/assets/phoenix.mjs").then(({ Socket }) => {
                const socket = new Socket("/socket");
                socket.connect();
                const channel = socket.channel("ping:binary");
                channel.join();
                channel.push("param_ping", new Uint8Array([0, 1, 254, 255]).buffer).receive("ok", (echoed) => {
                    const bytes = Array.from(new Uint8Array(echoed));
                    channel.push("pong", {}, 300).receive("timeout", () => done({ bytes, timeout: true }));
                });
            });
        "#;
        let expected = serde_json::json!({ "bytes": [0, 1, 254, 255], "timeout": true });
        assert_eq!(page.script(script).await, expected);
    })
    .await;
}

#[tokio::test]
async fn the_effects_of_commands_appear_on_the_page() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("command_line", program.port, async |page| {
        page_is_connected(&page).await;

        login.run(program.port, &["broadcast", "ping", "request_ping", "{}"]).await;
        page.shows("#send-ping[data-count='1'][data-from-node='nonode@nohost']").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=ok]").await;

        login.run(program.port, &["dupe", "1,2,3", "100"]).await;
        for (place, value) in [("nth-child(1)", 1), ("nth-child(2)", 2), ("nth-child(3):last-child", 3)] {
            page.shows(&format!("#dupe-numbers > :{place}[data-value='{value}']")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn pings_are_timed_and_slow_ones_queue_but_parallel_ones_do_not() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("slow", program.port, async |page| {
        page_is_connected(&page).await;
        page.shows("[data-channel=invalid] [data-state=refused]").await;
        page.shows("#log > [data-topic=invalid][data-status=error][data-payload*='always fails']").await;

        page.click("#both-ask").await;
        page.click("#pings").await;
        page.shows("#ping-times > :nth-child(5):last-child[data-ms]").await;
        // Before the slow ones, which receive one reply every three seconds.
        page.shows("#parallel-bars:not(:has([data-outcome=waiting])) > :nth-child(5)[data-outcome=ok]").await;
        page.shows("#slow-bars:has([data-outcome=waiting])").await;
        page.shows("#slow-bars > :nth-child(5)[data-outcome=ok]").await;
        for lane in ["slow", "parallel"] {
            page.shows(&format!("[data-lane={lane}] #{lane}-socket-state[data-state=open]")).await;
        }
        let script = "done([...document.querySelectorAll('#slow-bars > li')].map((bar) => Number(bar.dataset.ms)))";
        let times: Vec<u64> = serde_json::from_value(page.script(script).await).unwrap();
        // A busy machine delays a reply, and none comes earlier than three seconds after the one before was due.
        let is_in_turn = (1..).zip(&times).all(|(n, time)| *time >= n * 2900);
        assert!(times.len() == 5 && is_in_turn, "three seconds for each: {times:?}");
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn pushes_of_the_pipeline_appear_ten_at_a_time_and_all_timed_ones_appear() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("pipeline", program.port, async |page| {
        page_is_connected(&page).await;
        login.run(program.port, &["push", "1", "--times", "20", "--work-ms", "1500"]).await;
        page.shows("#pushes > :nth-child(1)[data-event=push][data-count='10'][data-first='1'][data-last='10']").await;
        page.shows("#pushes > :nth-child(2)[data-event=push][data-count='10'][data-first='11'][data-last='20']").await;
        page.shows("#pushes-count[data-count='20']").await;
        login.run(program.port, &["push_timed", "1", "--times", "500"]).await;
        page.shows("#pushes-count[data-count='520']").await;
        page.shows("#pushes > :last-child[data-event=push_timed]").await;

        login.run(program.port, &["push", "2", "{}"]).await;
        page.click("#pushes-clear").await;
        login.run(program.port, &["push", "1", r#"{"text": "no number"}"#]).await;
        page.shows("#pushes > :only-child[data-count='1']").await;
        page.shows("#pushes-count[data-count='1']").await;
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_running_server_has_the_dashboard_and_the_metrics() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("dashboard", program.port, async |page| {
        page_is_connected(&page).await;
        let script = "fetch('/metrics').then((response) => response.text()).then(done)";
        let metrics = page.script(script).await;
        let metrics = metrics.as_str().unwrap();
        for line in [
            r#"channel_join_total{status="success",channel="StatsChannel"} 1"#,
            r#"bennu_channel_joined{channel="StatsChannel"} 1"#,
            "bennu_pipeline_queued",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
        page.goto(&format!("http://localhost:{}/dashboard", program.port)).await;
        page.shows("#state[data-state=open]").await;
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_page_reconnects_by_websocket_after_a_killed_server_restarts_with_another_secret() {
    let login = Login::new(HELLO);
    let mut program = Program::start(&login, 0).await;
    let port = program.port;
    with_page("restart", port, async |page| {
        page_is_connected(&page).await;
        page.script("globalThis.mark = true; done()").await;

        program.signal(Signal::KILL);
        program.ended().await;
        page.shows("#socket-state[data-state=retry]").await;
        page.shows("#auth-socket-state[data-state=retry]").await;
        page.shows(":root[data-link=lost] .link-bar[data-state=lost]").await;

        // The tokens of the page are not valid for this secret.
        let secret = [("SECRET_KEY_BASE", "another secret, of a server that was deployed anew")];
        let _again = Program::start_with(&login, port, &secret).await;
        page_is_connected(&page).await;
        for socket in ["#socket-state", "#auth-socket-state", "#stats-socket-state"] {
            page.shows(&format!("{socket}[data-state=open][data-transport=websocket]")).await;
        }
        page.shows(":root:not([data-link]) .link-bar:empty").await;
        login.run(port, &["broadcast", "ping", "request_ping", "{}"]).await;
        page.shows("#send-ping[data-count='1']").await;
        assert_eq!(page.script("done(globalThis.mark)").await, true, "the page was not loaded again");
    })
    .await;
}

#[tokio::test]
async fn channels_of_a_connection_that_the_user_closes_are_left_and_joined_again_when_it_is_opened() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("disconnect", program.port, async |page| {
        page_is_connected(&page).await;
        page.click("#room-join").await;
        page.shows("[data-channel='ping:wild'] [data-state=joined]").await;
        page.script(
            "globalThis.states = [];
             const badges = ['ping', 'dupe', 'ping:wild'].map((topic) => `[data-channel='${topic}'] [data-state]`);
             for (const badge of document.querySelectorAll(badges)) {
                 new MutationObserver(() => states.push(badge.dataset.state)).observe(badge, { attributes: true });
             }
             done();",
        )
        .await;
        page.click("#socket-toggle").await;
        page.shows("#socket-state[data-state=off]").await;
        for topic in ["ping", "dupe", "ping:wild"] {
            page.shows(&format!("[data-channel='{topic}'] [data-state=left]")).await;
        }
        page.shows(":root:not([data-link]) .link-bar:empty").await;

        page.click("#socket-toggle").await;
        page_is_connected(&page).await;
        page.shows("[data-channel='ping:wild'] [data-state=joined]").await;
        let states = page.script("done([...new Set(states)].sort())").await;
        assert_eq!(states, serde_json::json!(["joined", "joining", "left"]));
        page.click("#ping").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=ok]").await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_are_accessible_and_small_on_a_phone_and_a_desk() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("accessible", program.port, async |page| {
        page_is_connected(&page).await;
        page.click("#param-error").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=error]").await;
        // Screen readers announce no JSON: neither that of the log nor that of a result.
        page.shows("#log-scroll[role=log][aria-live=off]").await;
        page.shows("[data-channel=ping] [data-result][role=status] > code[aria-hidden=true]").await;
        for (path, ready) in [("/", "#socket-state[data-state=open]"), ("/tracked", "#users > [data-me]")] {
            page.goto(&format!("http://localhost:{}{path}", program.port)).await;
            page.shows(ready).await;
            for device in [Device::PHONE, Device::DESK.dark(), Device::DESK.forced_colors()] {
                page.emulate(device).await;
                assert_eq!(page.accessibility_faults().await, [""; 0], "{path}, {device:?}");
            }
            let bytes = page.transferred_bytes().await;
            assert!(bytes < 50_000, "{path} has {bytes} bytes");
        }
    })
    .await;
}

#[tokio::test]
async fn the_bars_of_slow_replies_are_visible_when_colours_are_forced() {
    let login = Login::new(HELLO);
    let program = Program::start(&login, 0).await;
    with_page("forced", program.port, async |page| {
        page_is_connected(&page).await;
        page.emulate(Device::DESK.forced_colors()).await;
        page.click("#parallel-ask").await;
        page.shows("#parallel-bars > li[data-outcome=ok]").await;
        let colours = "const bar = document.querySelector('#parallel-bars > [data-outcome=ok] .bar');
            done([bar, bar.firstChild, document.body].map((one) => getComputedStyle(one).backgroundColor))";
        let colours = page.script(colours).await;
        assert_ne!(colours[1], colours[0]);
        assert_ne!(colours[1], colours[2]);
    })
    .await;
}

#[tokio::test]
async fn behind_a_proxy_without_websocket_the_page_long_polls_and_reconnects_after_a_restart() {
    let login = Login::new(HELLO);
    let mut program = Program::start(&login, 0).await;
    let port = program.port;
    let proxy = match Proxy::start(port).await {
        Ok(proxy) => proxy,
        Err(missing) => return skip("longpoll", &missing),
    };
    with_page("longpoll", proxy.port, async |page| {
        page_is_connected(&page).await;
        for socket in ["#socket-state", "#auth-socket-state", "#stats-socket-state"] {
            page.shows(&format!("{socket}[data-transport=longpoll]")).await;
        }
        page.click("#ping").await;
        page.shows("[data-channel=ping] [data-result][data-outcome=ok]").await;
        login.run(port, &["broadcast", "ping", "request_ping", "{}"]).await;
        page.shows("#send-ping[data-count='1'][data-from-node='nonode@nohost']").await;
        login.run(port, &["dupe", "1,2,3", "100"]).await;
        for (place, value) in [("nth-child(1)", 1), ("nth-child(2)", 2), ("nth-child(3):last-child", 3)] {
            page.shows(&format!("#dupe-numbers > :{place}[data-value='{value}']")).await;
        }

        program.signal(Signal::TERM);
        program.ended().await;
        page.shows("#socket-state[data-state=retry]").await;
        let _again = Program::start(&login, port).await;
        page_is_connected(&page).await;
    })
    .await;
}

/// Waits until all sockets are open and the channels that the page joins by itself are joined.
async fn page_is_connected(page: &Page) {
    for socket in ["#socket-state", "#auth-socket-state", "#stats-socket-state"] {
        page.shows(&format!("{socket}[data-state=open]")).await;
    }
    for topic in ["ping", "dupe", "recurring", "valid", "user:1"] {
        page.shows(&format!("[data-channel='{topic}'] [data-state=joined]")).await;
    }
}
