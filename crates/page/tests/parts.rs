//! The page of all parts in headless Chromium, on three widths, in light, dark and forced colours.

use axum::Router;
use test_browser::{Device, with_browser};
use tokio::net::TcpListener;

/// The directory of the pictures, below the target directory: each run replaces them.
const PICTURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/parts");

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://localhost:{}", address.port())
}

#[tokio::test]
async fn every_part_is_accessible_and_undamaged_on_each_width_in_each_colour_scheme() {
    let address = serve(bennu_page::parts()).await;
    with_browser("parts", async |browser| {
        let page = browser.open(&format!("{address}/parts")).await;
        for (name, device) in [("360", Device::PHONE), ("768", Device::TABLET), ("1280", Device::DESK)] {
            for (colours, device) in [
                ("light", device),
                ("dark", device.dark()),
                ("light_forced", device.forced_colors()),
                ("dark_forced", device.dark().forced_colors()),
            ] {
                page.emulate(device).await;
                assert_eq!(page.accessibility_faults().await, [""; 0], "{name}, {colours}");
                page.screenshot(format!("{PICTURES}/{name}_{colours}.png")).await;
            }
            assert_eq!(page.layout_faults([device.width]).await, [""; 0]);
        }
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_themes_of_all_applications_are_accessible_while_the_link_is_lost_and_expired() {
    let address = serve(bennu_page::parts()).await;
    with_browser("parts_themes", async |browser| {
        let page = browser.open(&format!("{address}/parts")).await;
        for app in ["hello", "store", "gym"] {
            for (link, device) in [("lost", Device::PHONE), ("expired", Device::DESK.dark())] {
                page.emulate(device).await;
                let script = format!(
                    "const settings = document.querySelector('#settings');
                     settings.app.value = '{app}';
                     settings.link.value = '{link}';
                     settings.dispatchEvent(new Event('change'));
                     done();"
                );
                page.script(&script).await;
                page.shows(&format!(":root[data-app={app}][data-link={link}]")).await;
                assert_eq!(page.accessibility_faults().await, [""; 0], "{app}, {link}");
                page.screenshot(format!("{PICTURES}/{app}_{link}.png")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_keyboard_reaches_controls_in_their_order_and_focus_is_visible() {
    let address = serve(bennu_page::parts()).await;
    with_browser("parts_keyboard", async |browser| {
        let page = browser.open(&format!("{address}/parts")).await;
        page.press(test_browser::Key::Tab).await;
        page.shows(".skip:focus-visible").await;
        let script = "const { top, bottom } = document.activeElement.getBoundingClientRect();
            done(getComputedStyle(document.activeElement).outlineStyle === 'solid' && top >= 0 && bottom <= innerHeight)";
        assert_eq!(page.script(script).await, true, "the skip link is visible");
        page.press(test_browser::Key::Enter).await;
        page.press(test_browser::Key::Tab).await;
        page.shows(".link-bar > .button:focus-visible").await;
        assert_eq!(page.script(script).await, true, "the focused button is visible");
        // The focus ring of a size is that of its label, since the radio button is transparent.
        page.script("document.querySelector('.size input').focus({ focusVisible: true }); done()").await;
        let ring = "done(getComputedStyle(document.querySelector('.size:has(:focus-visible)')).outlineStyle)";
        assert_eq!(page.script(ring).await, "solid");
    })
    .await;
}
