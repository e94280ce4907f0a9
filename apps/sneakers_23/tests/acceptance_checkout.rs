//! The checkout in the browser: a purchase, its refusals, an outcome that is not known yet, and the shop without scripts.

mod support;

use sneakers_23::catalog::{Cents, ItemId, ProductId};
use sneakers_23::checkout::ledger;
use support::browser::{add, cart_has, is_coming_soon, open_live, remove, shows_level, with_browser, with_browsers};
use support::program::{FEW, Shop};
use support::{assert_ledger, release_all, skip, snapshot};
use test_browser::Page;
use test_postgres::Postgres;

/// Goes to the checkout with the cart of the store's page, and waits until it is connected.
async fn check_out(page: &Page) {
    page.click("#checkout").await;
    page.shows("#pay").await;
    support::browser::is_live(page).await;
}

async fn orders(shop: &Shop) -> i64 {
    ledger::totals(&shop.database).await.unwrap().0
}

#[tokio::test]
async fn a_purchase_shows_its_order_and_empties_the_cart_of_every_tab_and_a_doubled_form_buys_once() {
    with_browsers("a purchase", async |[browser, other]| {
        let shop = Shop::sqlite().await.stocked(FEW).await;
        release_all(&shop.database).await;
        let server = shop.start().await;
        let page = open_live(&browser, &server.url("/")).await;
        add(&page, 8).await;
        add(&page, 14).await;
        cart_has(&page, &[8, 14]).await;
        let second = open_live(&browser, &server.url("/")).await;
        cart_has(&second, &[8, 14]).await;
        let till = open_live(&browser, &server.url("/checkout")).await;
        till.shows("[data-total='26000']").await;

        check_out(&page).await;
        // The form is sent twice by the script, and once more by the button.
        let send_twice = "const form = document.querySelector('#pay');
            const send = () => fetch('/checkout', { method: 'POST', body: new URLSearchParams(new FormData(form)) });
            Promise.all([send(), send()]).then((all) => done(all.map(({ url }) => new URL(url).pathname)))";
        let locations = page.script(send_twice).await;
        assert_eq!(locations[0], locations[1], "two answers to one purchase");
        page.goto(&server.url(locations[0].as_str().unwrap())).await;
        page.shows("#order-number").await;
        let number = page.text("#order-number").await;
        page.shows("[data-total='26000']").await;
        for item in [8, 14] {
            page.shows(&format!(".bought [data-item-id='{item}']")).await;
        }
        assert_eq!(orders(&shop).await, 1);
        let listed = shop.command(&server, "orders").await;
        assert!(listed.contains(&number), "{number} is not in {listed}");

        cart_has(&second, &[]).await;
        till.shows(".empty-cart").await;
        page.shows("[data-cart-count='0']").await;
        page.back().await;
        page.shows(".empty-cart").await;

        // An order belongs to the session that bought it.
        let stranger = other.open(&server.url(locations[0].as_str().unwrap())).await;
        stranger.shows("#problem[data-status='404']").await;

        // The next purchase is another one.
        add(&second, 8).await;
        check_out(&second).await;
        second.click("#pay button").await;
        second.shows("#order-number").await;
        assert_ne!(second.text("#order-number").await, number);
        assert_eq!(orders(&shop).await, 2);
        assert_ledger(&shop.database).await;
        for page in [&page, &second, &till] {
            assert_eq!(page.console_errors().await, [""; 0]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_pair_that_sold_out_or_has_another_price_refuses_the_purchase_with_a_way_back() {
    with_browser("a refusal", async |browser| {
        let shop = Shop::sqlite().await.stocked(1).await;
        release_all(&shop.database).await;
        let server = shop.start().await;
        let page = open_live(&browser, &server.url("/")).await;
        add(&page, 1).await;
        add(&page, 14).await;
        cart_has(&page, &[1, 14]).await;
        check_out(&page).await;
        let purchase = page.script("done(document.querySelector('[name=purchase]').value)").await;

        shop.shopper(&server).await.buy(&[ItemId(14)]).await;
        // The page shows it at once; the form can be sent all the same, also as it was before.
        page.shows("#checkout-lines .line[data-item-id='14'][data-state='out']").await;
        page.shows("#pay-problem").await;
        page.script(&format!("document.querySelector('[name=purchase]').value = {purchase}; done()")).await;
        page.click("#pay button").await;
        page.shows("#refusal[data-reason='sold_out'] [data-item-id='14']").await;
        assert!(!page.shows_within(std::time::Duration::ZERO, "#refusal [data-item-id='1']").await);
        page.click("#back-to-cart").await;
        cart_has(&page, &[1, 14]).await;
        page.shows(".line[data-item-id='14'][data-state='out']").await;
        page.shows(".line[data-item-id='1'][data-state='held']").await;
        remove(&page, 14).await;
        cart_has(&page, &[1]).await;

        check_out(&page).await;
        let purchase = page.script("done(document.querySelector('[name=purchase]').value)").await;
        shop.command(&server, "price 1 13000").await;
        page.shows("[data-total='13000']").await;
        page.script(&format!("document.querySelector('[name=purchase]').value = {purchase}; done()")).await;
        page.click("#pay button").await;
        page.shows("#refusal[data-reason='changed'] [data-item-id='1']").await;
        assert_eq!(orders(&shop).await, 1, "only the other shopper has bought");
        page.click("#back-to-cart").await;
        cart_has(&page, &[1]).await;
        check_out(&page).await;
        page.click("#pay button").await;
        page.shows("[data-total='13000']").await;
        page.shows("#order-number").await;
        assert_eq!(ledger::totals(&shop.database).await.unwrap(), (2, Cents(27_000)));
        assert_ledger(&shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn an_outcome_that_is_not_known_yet_is_called_so_and_the_page_goes_on_when_the_database_is_back() {
    const TEST: &str = "an unknown outcome";
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip(TEST, &missing),
    };
    with_browsers(TEST, async |[one, two]| {
        let shop = Shop::postgres(&postgres).await.stocked(FEW).await;
        release_all(&shop.database).await;
        let server = shop.start().await;
        let bought = open_live(&one, &server.url("/")).await;
        add(&bought, 2).await;
        cart_has(&bought, &[2]).await;
        check_out(&bought).await;
        let purchase = bought.script("done(document.querySelector('[name=purchase]').value)").await;
        bought.click("#pay button").await;
        bought.shows("#order-number").await;
        let number = bought.text("#order-number").await;
        let plain = one.open("about:blank").await;
        plain.without_scripts(true).await;
        let lost = open_live(&two, &server.url("/")).await;
        add(&lost, 1).await;
        cart_has(&lost, &[1]).await;
        check_out(&lost).await;

        postgres.stop().await;
        let outcome = server.url(&format!("/checkout/outcome?purchase={}", purchase.as_str().unwrap()));
        lost.click("#pay button").await;
        bought.goto(&outcome).await;
        plain.goto(&outcome).await;
        for page in [&lost, &bought, &plain] {
            page.shows("#unknown").await;
            assert_eq!(page.text("h1").await, "We do not know yet whether your purchase went through.");
        }
        postgres.start_again().await;
        lost.shows("#refusal[data-reason='not_completed']").await;
        for page in [&bought, &plain] {
            page.shows("#order-number").await;
            assert_eq!(page.text("#order-number").await, number);
        }
        assert_eq!(orders(&shop).await, 1);
        let shelf = snapshot(&shop.database).await;
        assert_eq!(shelf.item(ItemId(1)).unwrap().available, FEW, "the lost purchase took no pair");

        // The cart is as it was, and a new purchase of it is complete.
        lost.click("#back-to-cart").await;
        cart_has(&lost, &[1]).await;
        check_out(&lost).await;
        lost.click("#pay button").await;
        lost.shows("#order-number").await;
        assert_eq!(orders(&shop).await, 2);
        assert_ledger(&shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn without_scripts_the_shop_sells_all_the_same() {
    with_browser("a shop without scripts", async |browser| {
        let shop = Shop::sqlite().await.stocked(2).await;
        let server = shop.start().await;
        shop.command(&server, "release 1").await;
        let page = browser.open("about:blank").await;
        page.without_scripts(true).await;
        page.goto(&server.url("/")).await;
        is_coming_soon(&page, 2).await;
        page.shows("#state[data-state='off']").await;
        add(&page, 1).await;
        cart_has(&page, &[1]).await;
        add(&page, 2).await;
        cart_has(&page, &[1, 2]).await;
        add(&page, 2).await;
        page.shows("#cart-problem:not(:empty)").await;
        let problem = page.text("#cart-problem").await;
        assert!(problem.starts_with("Shift Runner, size 6.5: "), "{problem}");
        remove(&page, 1).await;
        cart_has(&page, &[2]).await;
        shop.shopper(&server).await.buy(&[ItemId(3)]).await;
        shop.shopper(&server).await.buy(&[ItemId(3)]).await;
        page.goto(&server.url("/")).await;
        shows_level(&page, 3, "out").await;
        add(&page, 4).await;
        cart_has(&page, &[2, 4]).await;

        page.click("#checkout").await;
        page.shows("[data-total='24000']").await;
        page.click("#checkout-lines .line[data-item-id='4'] button.remove").await;
        page.shows("[data-total='12000']").await;
        page.click("#pay button").await;
        page.shows("#order-number").await;
        page.click("a.brand").await;
        cart_has(&page, &[]).await;
        let shelf = snapshot(&shop.database).await;
        let left: i64 = shelf.items_of(ProductId(1)).map(|item| item.available).sum();
        assert_eq!((orders(&shop).await, left), (3, 2 * 13 - 3));
        assert_ledger(&shop.database).await;
    })
    .await;
}
