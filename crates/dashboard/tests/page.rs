//! The page in headless Chromium: it connects and shows live measurements. This test has a process of its own, since the
//! recorder of measurements is the process's.

mod support;

use bennu::prelude::*;
use bennu_client::Client;
use bennu_dashboard::Dashboard;
use support::Server;

#[tokio::test]
async fn the_page_shows_connections_channels_latencies_and_errors_live() {
    let dashboard = Dashboard::new();
    metrics::set_global_recorder(dashboard.recorder()).unwrap();
    let server = Server::start(0, "a", &dashboard);
    test_browser::with_browser("dashboard", async |browser| {
        let page = browser.open(&server.page()).await;
        page.shows("#state[data-state=open]").await;
        page.shows("[data-figure=connections][data-value='0']").await;
        page.shows("#trouble .none").await;

        let client = Client::connect(format!("ws://127.0.0.1:{}/socket", server.port)).await.unwrap();
        let room = client.join("room:1", json!({})).await.unwrap();
        room.push("say", json!({})).await.unwrap();
        page.shows("[data-figure=connections][data-value='1']").await;
        page.shows("[data-figure=channels][data-value='1']").await;
        page.shows("#channels [data-channel=Room]").await;
        page.shows("[data-chart=handle] .line").await;

        let _ = room.push("nobody handles this", json!({})).await;
        page.shows("#channels [data-channel=Room] .bad").await;
        page.shows("#trouble li:not(.none)").await;
        // 126 KB, which the uncompressed files had, are far above.
        let bytes = page.transferred_bytes().await;
        assert!(bytes < 32_000, "{bytes} bytes");
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
    server.stop().await;
}
