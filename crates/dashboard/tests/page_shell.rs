//! The page in headless Chromium: restarts of the server, devices, and forced colours.

mod support;

use bennu_dashboard::Dashboard;
use support::Server;
use test_browser::Device;

#[tokio::test]
async fn after_a_restart_with_another_secret_the_page_joins_the_new_topic_and_continues() {
    let server = Server::start(0, "a", &Dashboard::new());
    test_browser::with_browser("dashboard_restart", async |browser| {
        let page = browser.open(&server.page()).await;
        page.shows("[data-chart=memory][data-points]").await;
        page.script("document.querySelector('[data-chart=memory]').dataset.mark = ''; done()").await;
        let port = server.stop().await;
        page.shows(":root[data-link=lost] #state[data-state=retry]").await;
        page.shows(".link-bar[data-state=lost]").await;

        let server = Server::start(port, "b", &Dashboard::new());
        page.shows(":root:not([data-link]) #state[data-state=open]").await;
        page.script("delete document.querySelector('[data-chart=memory]').dataset.points; done()").await;
        // A new snapshot arrives, and the page was not loaded again.
        page.shows("[data-chart=memory][data-points][data-mark]").await;
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_page_is_accessible_on_each_device_and_its_keys_keep_their_colours_when_colours_are_forced() {
    let server = Server::start(0, "a", &Dashboard::new());
    test_browser::with_browser("dashboard_devices", async |browser| {
        let page = browser.open(&server.page()).await;
        page.shows("[data-chart=memory] .legend li").await;
        for device in [Device::PHONE, Device::TABLET.dark(), Device::DESK, Device::DESK.dark().forced_colors()] {
            page.emulate(device).await;
            assert_eq!(page.accessibility_faults().await, [""; 0], "{device:?}");
            assert_eq!(page.layout_faults([device.width]).await, [""; 0]);
        }
        let keys = "const keys = [...document.querySelectorAll('[data-chart=memory] .legend li')]
            .map((key) => getComputedStyle(key, '::before').borderTop);
            done(new Set(keys).size === keys.length && keys.length === 3)";
        page.emulate(Device::DESK.forced_colors()).await;
        assert_eq!(page.script(keys).await, true, "the keys of the series differ");
    })
    .await;
    server.stop().await;
}
