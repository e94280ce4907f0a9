//! The book's chapter 9 in the browser: one cart across tabs and visits, and a cart whose items sell out on another node.

mod support;

use std::time::Duration;
use support::assert_ledger;
use support::browser::{
    add, cart_has, is_coming_soon, open_live, remove, shows_level, shows_sizes, with_browser, with_browsers,
};
use support::program::{FEW, Pair, Shop};
use test_postgres::Postgres;

#[tokio::test]
async fn the_cart_is_one_for_all_tabs_and_is_there_after_the_page_was_left() {
    with_browsers("one cart", async |[browser, other]| {
        let shop = Shop::sqlite().await.stocked(FEW).await;
        let server = shop.start().await;
        let first = open_live(&browser, &server.url("/")).await;
        is_coming_soon(&first, 1).await;
        is_coming_soon(&first, 2).await;
        cart_has(&first, &[]).await;

        shop.command(&server, "release 1").await;
        shop.command(&server, "release 2").await;
        shows_sizes(&first, 1).await;
        shows_sizes(&first, 2).await;
        // Size 6 of the first shoe, size 10 of the second.
        add(&first, 1).await;
        add(&first, 22).await;
        cart_has(&first, &[1, 22]).await;
        first.shows("#cart [data-subtotal='26000']").await;
        remove(&first, 22).await;
        cart_has(&first, &[1]).await;

        first.goto("about:blank").await;
        first.goto(&server.url("/")).await;
        cart_has(&first, &[1]).await;
        let second = open_live(&browser, &server.url("/")).await;
        cart_has(&second, &[1]).await;
        remove(&second, 1).await;
        cart_has(&second, &[]).await;
        cart_has(&first, &[]).await;

        for item in [2, 9, 15, 26] {
            add(&first, item).await;
        }
        for tab in [&first, &second] {
            cart_has(tab, &[2, 9, 15, 26]).await;
            tab.shows("#cart [data-subtotal='52000']").await;
            tab.shows("[data-cart-count='4']").await;
        }
        let stranger = open_live(&other, &server.url("/")).await;
        cart_has(&stranger, &[]).await;
        first.click("#checkout").await;
        for item in [2, 9, 15, 26] {
            first.shows(&format!("#checkout-lines .line[data-item-id='{item}']")).await;
        }
        first.shows("[data-total='52000']").await;
        for page in [&first, &second, &stranger] {
            assert_eq!(page.console_errors().await, [""; 0]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_cart_whose_items_sell_out_on_another_node_is_greyed_out_in_every_tab() {
    const TEST: &str = "a cart on two nodes";
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return support::skip(TEST, &missing),
    };
    with_browser(TEST, async |browser| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(FEW).await).await;
        pair.command(1, "release 1").await;
        pair.command(1, "release 2").await;
        // The tabs are connected to different nodes.
        let first = open_live(&browser, &pair.nodes[0].url("/")).await;
        shows_sizes(&first, 1).await;
        add(&first, 1).await;
        cart_has(&first, &[1]).await;
        remove(&first, 1).await;
        cart_has(&first, &[]).await;
        add(&first, 1).await;
        cart_has(&first, &[1]).await;
        let second = open_live(&browser, &pair.nodes[1].url("/")).await;
        cart_has(&second, &[1]).await;
        add(&second, 14).await;
        for tab in [&first, &second] {
            cart_has(tab, &[1, 14]).await;
        }

        pair.command(1, "sell-out").await;
        for tab in [&first, &second] {
            for item in [1, 14] {
                tab.shows(&format!("#cart .line[data-item-id='{item}'][data-state='out']")).await;
                shows_level(tab, item, "out").await;
            }
            tab.shows("#cart [data-subtotal='0']").await;
        }
        remove(&first, 14).await;
        remove(&first, 1).await;
        for tab in [&first, &second] {
            cart_has(tab, &[]).await;
        }
        assert!(first.shows_within(Duration::ZERO, "#add-1 .size input:disabled[value='2']").await);
        // A page that is behind sends the form; the server refuses it in words.
        let send = "const size = document.querySelector('#add-1 input[value=\"2\"]');
            size.disabled = false;
            size.checked = true;
            size.form.requestSubmit();
            done()";
        first.script(send).await;
        first.shows("#cart-problem:not(:empty)").await;
        assert_eq!(first.text("#cart-problem").await, "This size has just sold out.");
        cart_has(&first, &[]).await;
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}
