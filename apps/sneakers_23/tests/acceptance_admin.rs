//! The owner's dashboard in the browser: shoppers come, hold pairs, buy and go; the owner acts, and every page shows it.

mod support;

use sneakers_23::catalog::Cents;
use sneakers_23::checkout::ledger;
use std::time::Duration;
use support::browser::{
    add, cart_has, is_coming_soon, is_live, mark, open_live, shows_level, shows_sizes, was_not_reloaded, with_browsers,
};
use support::program::{Pair, Shop};
use support::{assert_ledger, skip};
use test_browser::{Browser, Page};
use test_postgres::Postgres;
use test_program::Program;

/// The pairs of each size: enough for a sell-out of three seconds.
const PAIRS: i64 = 200;

/// Logs in, and returns the dashboard.
async fn dashboard(browser: &Browser, server: &Program) -> Page {
    let password = server.printed[0].strip_prefix("The owner's password for /admin is ").unwrap();
    let page = browser.open(&server.url("/admin")).await;
    page.fill("#password", password).await;
    page.click(".login button").await;
    is_live(&page).await;
    page
}

/// Waits until the row of an item has this value, as `data-sold`.
async fn row_has(page: &Page, item: i64, name: &str, value: impl std::fmt::Display) {
    page.shows(&format!("#stock tr[data-item-id='{item}'] [data-{name}='{value}']")).await;
}

/// Clicks an action that is confirmed in a dialog.
async fn confirm(page: &Page, selector: &str) {
    page.click(selector).await;
    page.shows("#confirm[open]").await;
    page.click("#confirm-yes").await;
    page.shows("#confirm:not([open])").await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_words_and_the_right_one_opens_the_dashboard() {
    with_browsers("the owner's login", async |[browser]| {
        let shop = Shop::sqlite().await;
        let server = shop.start().await;
        let page = browser.open(&server.url("/admin")).await;
        page.fill("#password", "not the password").await;
        page.click(".login button").await;
        page.shows("#password-error").await;
        assert_eq!(page.text("#password-error").await, "This is not the password.");
        page.close().await;
        let page = dashboard(&browser, &server).await;
        page.shows("#shoppers[data-count='0']").await;

        // A logout ends the dashboards of the login in all tabs.
        let other = open_live(&browser, &server.url("/admin")).await;
        page.click("form[action='/admin/logout'] button").await;
        page.shows("#product-1").await;
        other.shows("#state[data-state='refused']").await;
        other.goto(&server.url("/admin")).await;
        other.shows("#password").await;
    })
    .await;
}

#[tokio::test]
async fn the_dashboard_shows_shoppers_as_they_come_hold_pairs_buy_and_go() {
    const TEST: &str = "the dashboard and shoppers";
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip(TEST, &missing),
    };
    with_browsers(TEST, async |[owner, one, two]| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(PAIRS).await).await;
        let admin = dashboard(&owner, &pair.nodes[0]).await;
        admin.shows("#shoppers[data-count='0']").await;
        let first = open_live(&one, &pair.nodes[0].url("/")).await;
        admin.shows("#shoppers[data-count='1']").await;
        // Two tabs of one shopper, and another shopper on the other node.
        let tab = open_live(&one, &pair.nodes[1].url("/")).await;
        let second = open_live(&two, &pair.nodes[1].url("/")).await;
        admin.shows("#shoppers[data-count='2']").await;
        shows_text(&admin, "#by-page", "3 in the store").await;
        admin.shows("#carts li:nth-child(2)").await;

        pair.command(1, "release 1").await;
        for page in [&first, &second] {
            shows_sizes(page, 1).await;
            add(page, 1).await;
            cart_has(page, &[1]).await;
        }
        add(&second, 2).await;
        row_has(&admin, 1, "held", 2).await;
        row_has(&admin, 2, "held", 1).await;

        first.click("#checkout").await;
        first.shows("#pay").await;
        shows_text(&admin, "#by-page", "1 at the checkout").await;
        first.click("#pay button").await;
        first.shows("#order-number").await;
        let number = first.text("#order-number").await;
        admin.shows(&format!("#orders li[data-number='{number}']")).await;
        admin.shows("#revenue[data-cents='12000']").await;
        row_has(&admin, 1, "sold", 1).await;
        row_has(&admin, 1, "available", PAIRS - 1).await;
        row_has(&admin, 1, "held", 1).await;

        second.close().await;
        admin.shows("#shoppers[data-count='1']").await;
        row_has(&admin, 2, "held", 0).await;
        tab.close().await;
        first.close().await;
        admin.shows("#shoppers[data-count='0']").await;
        admin.shows("#carts:empty").await;
        assert_eq!(admin.console_errors().await, [""; 0]);
    })
    .await;
}

/// Waits until an element contains a text.
async fn shows_text(page: &Page, selector: &str, expected: &str) {
    let script = format!(
        "const element = document.querySelector({selector:?});
        const look = () => element.textContent.includes({expected:?}) && (observer.disconnect(), done(true));
        const observer = new MutationObserver(look);
        observer.observe(element, {{ subtree: true, childList: true, characterData: true }});
        look()"
    );
    page.script(&script).await;
}

#[tokio::test]
async fn the_owner_releases_restocks_prices_and_sells_out_from_the_dashboard() {
    const TEST: &str = "the owner's actions";
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip(TEST, &missing),
    };
    with_browsers(TEST, async |[owner, shopper]| {
        let shop = Shop::postgres(&postgres).await.stocked(PAIRS).await;
        let server = shop.start().await;
        let admin = dashboard(&owner, &server).await;
        let page = open_live(&shopper, &server.url("/")).await;
        mark(&page).await;

        // A release that is not confirmed does not happen.
        admin.click("[data-action='release'][data-product-id='1']").await;
        admin.click("#confirm button[value='no']").await;
        is_coming_soon(&page, 1).await;
        confirm(&admin, "[data-action='release'][data-product-id='1']").await;
        shows_sizes(&page, 1).await;
        admin.shows(".release[data-product-id='1'][data-state='live']").await;
        is_coming_soon(&page, 2).await;

        admin.fill("tr[data-item-id='5'] [name='amount']", "300").await;
        admin.click("tr[data-item-id='5'] .restock button").await;
        row_has(&admin, 5, "available", PAIRS + 300).await;
        row_has(&admin, 5, "level", "high").await;
        shows_level(&page, 5, "high").await;
        admin.fill("#price-1", "99.50").await;
        admin.click(".release[data-product-id='1'] .price button").await;
        page.shows("#product-1 [data-price='9950']").await;
        admin.fill("#price-1", "0").await;
        admin.click(".release[data-product-id='1'] .price button").await;
        admin.shows("#problem:not(:empty)").await;
        let refused = admin.text("#problem").await;
        assert!(refused.contains("0 is not a price in cents: it must be from 1 to 1000000"), "{refused}");

        postgres.stop().await;
        admin.shows("#database[data-state='alarm']").await;
        confirm(&admin, "[data-action='release'][data-product-id='2']").await;
        shows_text(&admin, "#problem", "the database does not answer").await;
        is_coming_soon(&page, 2).await;
        postgres.start_again().await;
        admin.shows("#database:not([data-state='alarm'])").await;

        confirm(&admin, "#sell-out").await;
        admin.shows("#sell-out-progress:not([value='0'])").await;
        admin.click("#stop-sell-out").await;
        admin.shows("#stop-sell-out[hidden]").await;
        confirm(&admin, "#sell-out").await;
        page.shows("#product-1[data-state='sold-out']").await;
        let pairs = 13 * PAIRS + 300;
        admin.shows(&format!("#revenue[data-cents='{}']", pairs * 9950)).await;
        for item in 1..=13 {
            row_has(&admin, item, "level", "out").await;
        }
        admin.shows("#orders li:nth-child(20)").await;
        assert!(!admin.shows_within(Duration::ZERO, "#orders li:nth-child(21)").await);
        assert_eq!(ledger::totals(&shop.database).await.unwrap(), (pairs, Cents(pairs * 9950)));
        assert_ledger(&shop.database).await;
        is_coming_soon(&page, 2).await;
        was_not_reloaded(&page).await;
    })
    .await;
}
