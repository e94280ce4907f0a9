//! The book's chapter 7 in the browser: a release and a sell-out on one node reach the pages of the other, without a
//! reload.

mod support;

use sneakers_23::catalog::ProductId;
use std::time::Duration;
use support::browser::{
    add, cart_has, is_coming_soon, mark, open_live, shows_level, shows_sizes, was_not_reloaded, with_browser,
};
use support::program::{Pair, Shop};
use support::{assert_ledger, snapshot};
use test_postgres::Postgres;

#[tokio::test]
async fn a_release_and_a_sell_out_on_one_node_reach_the_page_of_the_other_without_a_reload() {
    const TEST: &str = "a release on two nodes";
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return support::skip(TEST, &missing),
    };
    with_browser(TEST, async |browser| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(160).await).await;
        let page = open_live(&browser, &pair.nodes[0].url("/")).await;
        is_coming_soon(&page, 1).await;
        is_coming_soon(&page, 2).await;
        mark(&page).await;

        assert_eq!(pair.command(1, "release 1").await, "ok");
        shows_sizes(&page, 1).await;
        page.shows("#announce:not(:empty)").await;
        assert_eq!(page.text("#announce").await, "Shift Runner is released. Choose a size.");
        is_coming_soon(&page, 2).await;
        add(&page, 7).await;
        cart_has(&page, &[7]).await;

        // The levels of a size: 500 pairs are many, 160 a limited number, and 149 a few.
        shows_level(&page, 1, "medium").await;
        pair.command(1, "restock 1 340").await;
        shows_level(&page, 1, "high").await;
        pair.command(1, "price 1 9900").await;
        page.shows("#product-1 [data-price='9900']").await;
        page.shows("#cart [data-subtotal='9900']").await;

        pair.command(1, "sell-out").await;
        shows_level(&page, 2, "low").await;
        page.shows("#product-1[data-state='sold-out']").await;
        page.shows("#cart .line[data-item-id='7'][data-state='out']").await;
        assert!(!page.shows_within(Duration::ZERO, "#product-1 .size:not([data-stock='out'])").await);
        was_not_reloaded(&page).await;

        let sold_out = snapshot(&pair.shop.database).await;
        assert_eq!(sold_out.items_of(ProductId(1)).map(|item| item.available).sum::<i64>(), 0);
        assert_ledger(&pair.shop.database).await;
        assert_eq!(page.console_errors().await, [""; 0]);
    })
    .await;
}
