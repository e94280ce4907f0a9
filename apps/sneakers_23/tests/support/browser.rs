//! The store's pages in headless Chromium. They need the Phoenix client and axe-core, which `bin/test` installs; without
//! the client a test is reported as skipped.

use serde_json::Value;
use std::path::{Path, PathBuf};
use test_browser::{Browser, Device, Page};

/// A phone of the width that most phones have.
pub(crate) const PHONE: Device = Device { has_touch: true, ..Device::new(390, 844) };

/// Opens a browser of its own, runs `scenario`, and closes the browser after every outcome.
pub(crate) async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    with_browsers(test, |[browser]| scenario(browser)).await;
}

/// Like [`with_browser`], for several shoppers with cookies of their own.
pub(crate) async fn with_browsers<const N: usize, F: Future<Output = ()>>(
    test: &str,
    scenario: impl FnOnce([Browser; N]) -> F,
) {
    test_browser::with_browsers_of("sneakers_23", test, scenario).await;
}

/// Waits until the page is connected.
pub(crate) async fn is_live(page: &Page) {
    page.shows(r#"#state[data-state="open"]"#).await;
}

/// Opens a page and waits until it is connected.
pub(crate) async fn open_live(browser: &Browser, url: &str) -> Page {
    let page = browser.open(url).await;
    is_live(&page).await;
    page
}

/// Chooses a size of a product and puts it into the cart.
pub(crate) async fn add(page: &Page, item: i64) {
    let product = if item <= 13 { 1 } else { 2 };
    page.click(&format!("#add-{product} .size[data-item-id='{item}']")).await;
    page.click(&format!("#add-{product} button.add")).await;
}

/// Removes an item from the cart.
pub(crate) async fn remove(page: &Page, item: i64) {
    page.click(&format!(".line[data-item-id='{item}'] button.remove")).await;
}

/// Waits until the cart of the store's page has these items and no others.
pub(crate) async fn cart_has(page: &Page, items: &[i64]) {
    page.shows(&format!("#cart[data-count='{}']", items.len())).await;
    for item in items {
        page.shows(&format!("#cart .line[data-item-id='{item}']")).await;
    }
}

/// Waits until a product shows its sizes, and can be clicked: while the sizes fade in, the document takes all clicks.
pub(crate) async fn shows_sizes(page: &Page, product: i64) {
    let sizes = format!("#product-{product}:is([data-state='live'], [data-state='sold-out']) .size");
    page.shows(&format!(":root:not(:active-view-transition) {sizes}")).await;
}

/// Waits until a product is not released.
pub(crate) async fn is_coming_soon(page: &Page, product: i64) {
    page.shows(&format!("#product-{product}[data-state='soon'] .soon")).await;
}

/// Waits until the page shows this level of an item.
pub(crate) async fn shows_level(page: &Page, item: i64, level: &str) {
    page.shows(&format!(".size[data-item-id='{item}'][data-stock='{level}']")).await;
}

/// Marks the document of a page, so that [`was_not_reloaded`] recognises it.
pub(crate) async fn mark(page: &Page) {
    page.script("window.isTheFirstDocument = true; done()").await;
}

/// Asserts that the page has the document that was marked.
pub(crate) async fn was_not_reloaded(page: &Page) {
    let is_first = page.script("done(window.isTheFirstDocument === true)").await;
    assert_eq!(is_first, Value::Bool(true), "the page was reloaded");
}

/// Asserts that a page has no fault of accessibility or of layout on a phone and on a desk, in light and dark colours, and
/// writes a picture of each.
pub(crate) async fn is_well_made(page: &Page, name: &str) {
    for (size, device) in [("phone", PHONE), ("desk", Device::DESK)] {
        for (colours, device) in [("light", device), ("dark", device.dark())] {
            page.emulate(device).await;
            assert_eq!(page.accessibility_faults().await, [""; 0], "{name} on a {size} in {colours} colours");
            // A window of the page's height, so that nothing sticks to the foot of the window in the picture. Parts that
            // scroll are higher in a higher window.
            for _ in 0..2 {
                let height = page.script("done(document.documentElement.scrollHeight)").await.as_u64().unwrap();
                page.emulate(Device { height: device.height.max(height as u32), ..device }).await;
            }
            page.screenshot(pictures().join(format!("{name}-{size}-{colours}.png"))).await;
        }
    }
    assert_eq!(page.layout_faults([360, 390, 768, 1280]).await, [""; 0], "{name}");
    page.emulate(Device::DESK).await;
}

/// Returns the directory of the pictures, `target/screenshots/sneakers_23`.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    target.join("screenshots/sneakers_23")
}
