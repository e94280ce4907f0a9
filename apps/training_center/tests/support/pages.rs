//! The pages in headless Chromium. They need the Phoenix client and axe-core, which `bin/test` installs; without the
//! client a test is reported as skipped.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_browser::{Browser, Device, Key, Page};

/// The title of the session that tests create.
pub(crate) const TITLE: &str = "Tuesday, 18:00";

/// Its exercises.
pub(crate) const WORKOUT: [&str; 6] =
    ["20 squats", "10 push-ups", "Plank, 45 seconds", "12 lunges a side", "Row, 250 m", "Stretch & breathe"];

/// Opens a browser of its own, runs `scenario`, and closes the browser after every outcome.
pub(crate) async fn with_browser<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(Browser) -> F) {
    with_browsers(test, |[browser]| scenario(browser)).await;
}

/// Like [`with_browser`], for several people with cookies of their own.
pub(crate) async fn with_browsers<const N: usize, F: Future<Output = ()>>(
    test: &str,
    scenario: impl FnOnce([Browser; N]) -> F,
) {
    test_browser::with_browsers_of("training_center", test, scenario).await;
}

/// Waits until the page is connected.
pub(crate) async fn is_live(page: &Page) {
    page.shows("#state[data-state='open']").await;
}

/// Signs the trainer in, and returns the trainer's first page.
pub(crate) async fn trainer(browser: &Browser, url: &str, password: &str) -> Page {
    let page = browser.open(url).await;
    page.fill("#password", password).await;
    page.click("form[action='/trainer/sign_in'] button").await;
    page.shows("#new").await;
    page
}

/// Creates a session in the trainer's first page, which goes on to it.
pub(crate) async fn create_session(page: &Page) {
    page.fill("#title", TITLE).await;
    page.fill("#workout", &WORKOUT.join("\n")).await;
    page.click("#new button").await;
    page.shows("#grid [data-phase='waiting']").await;
    is_live(page).await;
}

/// Opens a session, signs in by name, and waits until the page is connected.
pub(crate) async fn participant(browser: &Browser, url: &str, name: &str) -> Page {
    let page = browser.open(url).await;
    page.fill("#name", name).await;
    page.press(Key::Enter).await;
    page.shows("#status").await;
    is_live(&page).await;
    page
}

/// Starts the session on the trainer's page.
pub(crate) async fn start(trainer: &Page) {
    trainer.click("#start").await;
    trainer.shows("#grid [data-phase='running']").await;
    is_live(trainer).await;
}

/// Ends the session on the trainer's page.
pub(crate) async fn end(trainer: &Page) {
    trainer.click("#end").await;
    trainer.shows("#confirm-end:popover-open").await;
    trainer.click("#confirm").await;
    trainer.shows("#grid [data-phase='ended']").await;
}

/// Taps the tile of an exercise.
pub(crate) async fn tap(page: &Page, exercise: &str) {
    page.click(&format!(".tile[data-exercise='{exercise}']")).await;
}

/// Waits until the tile of an exercise has a state, and the server has confirmed it.
pub(crate) async fn tile_is(page: &Page, exercise: &str, state: &str) {
    page.shows(&format!(".tile[data-exercise='{exercise}'][data-state='{state}']:not([data-unsent])")).await;
}

/// Waits until the trainer's grid shows a person as online or as offline.
pub(crate) async fn is_online(trainer: &Page, name: &str, is_online: bool) {
    trainer.shows(&format!("tr[data-person='{name}'][data-online='{is_online}']")).await;
}

/// Waits until the trainer's grid shows whether a person has done the exercise of this place in the workout.
pub(crate) async fn has_done(trainer: &Page, name: &str, place: usize, is_done: bool) {
    // The cells of name and sum stand before those of the exercises.
    let cell = place + 3;
    trainer.shows(&format!("tr[data-person='{name}'] :nth-child({cell})[data-done='{is_done}']")).await;
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

/// Presses Tab until an element has the focus.
pub(crate) async fn tab_to(page: &Page, selector: &str) {
    for _ in 0..40 {
        page.press(Key::Tab).await;
        if page.shows_within(Duration::ZERO, &format!("{selector}:focus")).await {
            return;
        }
    }
    panic!("40 presses of Tab do not lead to {selector}");
}

/// Asserts that a page has no fault of accessibility on these devices, in light, dark and forced colours, and none of
/// layout in any width, and writes pictures.
pub(crate) async fn looks_well(page: &Page, name: &str, devices: &[(&str, Device)]) {
    for (size, device) in devices {
        for (colours, device) in [("light", *device), ("dark", device.dark()), ("forced", device.forced_colors())] {
            page.emulate(device).await;
            assert_eq!(page.accessibility_faults().await, [""; 0], "{name} on a {size} in {colours} colours");
            page.screenshot(pictures().join(format!("{name}-{size}-{colours}.png"))).await;
        }
        assert_eq!(overfull_cells(page).await, [""; 0], "{name} on a {size}");
        if device.has_touch {
            assert_eq!(small_targets(page).await, [""; 0], "{name} on a {size}");
        }
    }
    assert_eq!(page.layout_faults([320, 360, 390, 768, 1280, 1920]).await, [""; 0], "{name}");
}

/// Like [`looks_well`], and asserts that the console of the browser has no error.
pub(crate) async fn is_well_made(page: &Page, name: &str, devices: &[(&str, Device)]) {
    looks_well(page, name, devices).await;
    assert_eq!(page.console_errors().await, [""; 0], "{name}");
}

/// Returns the controls that are smaller than 48 pixels, and tiles that are smaller than 64.
async fn small_targets(page: &Page) -> Vec<String> {
    let script = "const small = [];
        for (const control of document.querySelectorAll('a:not(.skip), button, input, textarea')) {
            const { width, height } = control.getBoundingClientRect();
            const least = control.matches('.tile') ? 64 : 48;
            if (width > 0 && (width < 48 || height < least)) small.push(`${control.outerHTML}: ${width} × ${height}`);
        }
        done(small)";
    serde_json::from_value(page.script(script).await).unwrap()
}

/// Returns the cells of tables that are too small for their content. Those for screen readers only have one pixel.
async fn overfull_cells(page: &Page) -> Vec<String> {
    let script = "done([...document.querySelectorAll('td, th')]
        .filter((cell) => cell.clientWidth > 1 && cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent))";
    serde_json::from_value(page.script(script).await).unwrap()
}

/// Returns the directory of the pictures, `target/screenshots/training_center`.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    target.join("screenshots/training_center")
}
