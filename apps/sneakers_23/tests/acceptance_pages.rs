//! Every page of the store, on a phone and on a desk, in light and dark colours: axe-core and the layout find no fault,
//! and pictures are made in `target/screenshots/sneakers_23`.

mod support;

use std::time::Duration;
use support::browser::{add, cart_has, is_live, is_well_made, open_live, shows_level, shows_sizes, with_browser};
use support::program::{FEW, Shop};
use test_browser::{Key, Page};
use test_program::Signal;

/// Gives the sizes all levels.
async fn stock_all_levels(shop: &Shop) {
    let update = "UPDATE items SET version = version + 1, stocked = pairs, available = pairs
        FROM (SELECT id AS of, CASE id % 6 WHEN 2 THEN 0 WHEN 4 THEN 90 WHEN 5 THEN 320 ELSE 800 END AS pairs FROM items)
        AS stock WHERE id = of";
    sqlx::query(update).execute(&*shop.database.pool()).await.unwrap();
}

async fn sell_out_the_first_product(shop: &Shop) {
    let update = "UPDATE items SET version = version + 1, stocked = stocked - available, available = 0
        WHERE product_id = 1";
    sqlx::query(update).execute(&*shop.database.pool()).await.unwrap();
}

#[tokio::test]
async fn the_shoppers_pages_have_no_fault_on_a_phone_and_on_a_desk_in_light_and_dark() {
    with_browser("the shopper's pages", async |browser| {
        let shop = Shop::sqlite().await;
        stock_all_levels(&shop).await;
        let mut server = shop.start().await;
        let page = open_live(&browser, &server.url("/")).await;
        is_well_made(&page, "store-soon").await;

        shop.command(&server, "release 1").await;
        shows_sizes(&page, 1).await;
        for item in [3, 6, 10] {
            add(&page, item).await;
        }
        cart_has(&page, &[3, 6, 10]).await;
        page.click("#add-1 .size[data-item-id='7']").await;
        is_well_made(&page, "store-released").await;

        page.click("#checkout").await;
        page.shows("#pay").await;
        is_live(&page).await;
        is_well_made(&page, "checkout").await;

        // Without the lock of its writers the database confirms nothing.
        let lock = shop.database.begin().await.unwrap();
        page.click("#pay button").await;
        page.shows("#unknown").await;
        is_live(&page).await;
        is_well_made(&page, "unknown").await;
        lock.rollback().await.unwrap();
        page.shows("#refusal[data-reason='not_completed']").await;
        page.goto(&server.url("/checkout")).await;
        let purchase = page.script("done(document.querySelector('[name=purchase]').value)").await;
        sell_out_the_first_product(&shop).await;
        page.shows("#checkout-lines .line[data-state='out']").await;
        is_well_made(&page, "checkout-sold-out").await;
        page.script(&format!("document.querySelector('[name=purchase]').value = {purchase}; done()")).await;
        page.click("#pay button").await;
        page.shows("#refusal[data-reason='sold_out']").await;
        is_live(&page).await;
        is_well_made(&page, "refusal").await;
        page.click("#back-to-cart").await;
        is_live(&page).await;
        page.shows("#product-1[data-state='sold-out']").await;
        page.shows("#cart .line[data-state='out']").await;
        is_well_made(&page, "store-sold-out").await;

        stock_all_levels(&shop).await;
        shows_level(&page, 3, "high").await;
        page.goto(&server.url("/checkout")).await;
        page.click("#pay button").await;
        page.shows("#order-number").await;
        is_live(&page).await;
        is_well_made(&page, "complete").await;
        page.goto(&server.url("/checkout")).await;
        page.shows(".empty-cart").await;
        is_live(&page).await;
        is_well_made(&page, "checkout-empty").await;
        page.goto(&server.url("/elsewhere")).await;
        page.shows("#problem[data-status='404']").await;
        is_well_made(&page, "problem").await;

        page.goto(&server.url("/")).await;
        is_live(&page).await;
        server.signal(Signal::TERM);
        server.ended().await;
        page.shows(":root[data-link='lost'] .link-bar:not(:empty)").await;
        is_well_made(&page, "store-lost").await;
    })
    .await;
}

/// Presses Tab until an element has the focus.
async fn tab_to(page: &Page, selector: &str) {
    for _ in 0..60 {
        page.press(Key::Tab).await;
        if page.shows_within(Duration::ZERO, &format!("{selector}:focus")).await {
            return;
        }
    }
    panic!("60 presses of Tab do not lead to {selector}");
}

#[tokio::test]
async fn the_keyboard_alone_buys_a_pair() {
    with_browser("the keyboard", async |browser| {
        let shop = Shop::sqlite().await.stocked(FEW).await;
        let server = shop.start().await;
        shop.command(&server, "release 1").await;
        let page = open_live(&browser, &server.url("/")).await;
        // Nothing is chosen yet, so the focus enters the sizes at the first one.
        tab_to(&page, "#add-1 [value='1']").await;
        page.press(Key::Right).await;
        page.shows("#add-1 [value='2']:checked").await;
        tab_to(&page, "#add-1 button.add").await;
        page.press(Key::Enter).await;
        cart_has(&page, &[2]).await;
        tab_to(&page, "#cart .line[data-item-id='2'] button.remove").await;
        page.press(Key::Enter).await;
        cart_has(&page, &[]).await;
        page.shows("#cart-title:focus").await;

        add(&page, 3).await;
        cart_has(&page, &[3]).await;
        tab_to(&page, "#checkout").await;
        page.press(Key::Enter).await;
        page.shows("#pay").await;
        is_live(&page).await;
        tab_to(&page, "#pay button").await;
        page.press(Key::Enter).await;
        page.shows("#order-number").await;
    })
    .await;
}

#[tokio::test]
async fn the_owners_pages_have_no_fault_on_a_phone_and_on_a_desk_in_light_and_dark() {
    with_browser("the owner's pages", async |browser| {
        let shop = Shop::sqlite().await;
        stock_all_levels(&shop).await;
        let server = shop.start().await;
        shop.command(&server, "release 1").await;
        let admin = browser.open(&server.url("/admin")).await;
        admin.fill("#password", "not the password").await;
        admin.click(".login button").await;
        admin.shows("#password-error").await;
        is_well_made(&admin, "login").await;
        let password = server.printed[0].strip_prefix("The owner's password for /admin is ").unwrap();
        admin.fill("#password", password).await;
        admin.click(".login button").await;
        is_live(&admin).await;

        let shopper = open_live(&browser, &server.url("/")).await;
        for item in [3, 6, 7] {
            add(&shopper, item).await;
        }
        cart_has(&shopper, &[3, 6, 7]).await;
        for items in [&[1, 6][..], &[7], &[9, 10, 12]] {
            let items: Vec<_> = items.iter().map(|item| sneakers_23::catalog::ItemId(*item)).collect();
            shop.shopper(&server).await.buy(&items).await;
        }
        admin.shows("#orders li:nth-child(3)").await;
        admin.shows("#stock tr[data-item-id='6'] [data-held='1']").await;
        is_well_made(&admin, "admin").await;

        admin.click("[data-action='release'][data-product-id='2']").await;
        admin.shows("#confirm[open]").await;
        is_well_made(&admin, "admin-confirm").await;
        admin.click("#confirm button[value='no']").await;
        shop.command(&server, "sell-out").await;
        admin.shows("#stop-sell-out:not([hidden])").await;
        admin.shows("#sell-out-progress:not([value='0'])").await;
        is_well_made(&admin, "admin-sell-out").await;
        shop.command(&server, "stop-sell-out").await;
    })
    .await;
}
