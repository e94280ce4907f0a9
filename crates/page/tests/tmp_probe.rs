//! x
use test_browser::{Device, with_browser};
#[tokio::test]
async fn probe() {
    let base = std::env::var("BASE").unwrap();
    let paths = std::env::var("PATHS").unwrap();
    with_browser("probe", async |browser| {
        for (n, path) in paths.split(',').enumerate() {
            let page = browser.open(&format!("{base}{path}")).await;
            page.shows(&std::env::var("WAIT").unwrap_or("[data-state=open]".into())).await;
            if let Ok(script) = std::env::var("SCRIPT") {
                println!("{}", page.script(&script).await);
            }
            for (name, device) in [
                ("phone", Device::PHONE),
                ("desk", Device::DESK),
                ("phone_dark", Device::PHONE.dark()),
                ("desk_dark", Device::DESK.dark()),
                ("desk_forced", Device::DESK.forced_colors()),
            ] {
                page.emulate(device).await;
                println!("{path} {name} {:#?}", page.accessibility_faults().await);
                page.screenshot(format!("/tmp/probe/{n}_{name}.png")).await;
            }
            println!("bytes {}", page.transferred_bytes().await);
            println!("{:?}", page.console_errors().await);
        }
    })
    .await;
}
