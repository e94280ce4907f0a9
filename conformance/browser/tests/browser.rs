//! The browser itself: devices, keys, Back, the network, and browsers beside each other.

use std::path::PathBuf;
use tempfile::TempDir;
use test_browser::{Device, Key, with_browser, with_browsers};

const PAGE: &str = r#"<!doctype html><html lang="en"><title>A page</title><meta name="viewport" content="width=device-width">
    <main><h1>A page</h1><input id="first" aria-label="first"><input id="second" aria-label="second"></main>"#;

/// Writes pages into a directory and returns the directory, and the URLs of the pages.
fn pages<const N: usize>(contents: [&str; N]) -> (TempDir, [String; N]) {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let urls = contents.map(|content| {
        number += 1;
        let file: PathBuf = directory.path().join(format!("{number}.html"));
        std::fs::write(&file, content).unwrap();
        format!("file://{}", file.display())
    });
    (directory, urls)
}

#[tokio::test]
async fn a_device_has_its_width_its_colours_and_its_pointer() {
    let (_directory, [url]) = pages([PAGE]);
    with_browser("devices", async |browser| {
        let page = browser.open(&url).await;
        let script =
            "done([innerWidth, ...['(prefers-color-scheme: dark)', '(forced-colors: active)', '(pointer: coarse)']
            .map((query) => matchMedia(query).matches)])";
        for (device, expected) in [
            (Device::PHONE, serde_json::json!([360, false, false, true])),
            (Device::TABLET.dark(), serde_json::json!([768, true, false, true])),
            (Device::DESK.forced_colors(), serde_json::json!([1280, false, true, false])),
            (Device::new(900, 700), serde_json::json!([900, false, false, false])),
        ] {
            page.emulate(device).await;
            assert_eq!(page.script(script).await, expected, "{device:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn keys_go_to_the_focused_element_and_back_returns_to_the_page_before() {
    let (_directory, [first, second]) = pages([PAGE, "<!doctype html><p id=other>Another page"]);
    with_browser("keys", async |browser| {
        let page = browser.open(&first).await;
        page.press(Key::Tab).await;
        page.press("text").await;
        page.press(Key::Tab).await;
        page.shows("#second:focus").await;
        assert_eq!(page.script("done(document.querySelector('#first').value)").await, "text");
        page.goto(&second).await;
        page.shows("#other").await;
        page.back().await;
        page.shows("#first").await;
    })
    .await;
}

#[tokio::test]
async fn accessibility_faults_name_the_rule_and_the_element() {
    let faulty = PAGE.replace(r#" aria-label="second""#, "");
    let (_directory, [sound, faulty]) = pages([PAGE, &faulty]);
    with_browser("faults", async |browser| {
        let page = browser.open(&sound).await;
        assert_eq!(page.accessibility_faults().await, [""; 0]);
        page.goto(&faulty).await;
        let faults = page.accessibility_faults().await;
        // Without axe-core the list is empty, and the test is reported as skipped.
        if let [fault, ..] = &faults[..] {
            assert!(faults.len() == 1 && fault.starts_with("label: #second: "), "{faults:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn browsers_beside_each_other_have_their_own_storage() {
    let (directory, [url]) = pages([PAGE]);
    with_browsers("browsers", async |[one, other]| {
        let (one, other) = (one.open(&url).await, other.open(&url).await);
        one.script("localStorage.setItem('name', 'one'); done()").await;
        let read = "done(localStorage.getItem('name'))";
        assert_eq!(one.script(read).await, "one");
        assert_eq!(other.script(read).await, serde_json::Value::Null);
        let picture = directory.path().join("pictures/one.png");
        one.screenshot(&picture).await;
        assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    })
    .await;
}
