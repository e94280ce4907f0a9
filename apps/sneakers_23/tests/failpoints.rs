//! The process is killed between two steps of a purchase or of a release, and started again on the same database.
//!
//! Each pair that was sold or is left is a pair that was stocked, and the same purchase gets one answer. The program
//! needs the feature `failpoints`: `cargo test -p sneakers_23 --features failpoints --test failpoints`.

mod support;

use futures::future::join_all;
use sneakers_23::catalog::{ItemId, ProductId};
use sneakers_23::checkout::ledger;
use sneakers_23::inventory::shelf;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::program::{FEW, Shop};
use support::shopper::Shopper;
use support::{assert_ledger, release_all, snapshot};
use test_postgres::Postgres;
use test_program::visitor::Reply;
use test_program::{Program, free_port};

/// The steps of a purchase, each with the orders that are in the ledger after it.
const PURCHASE: [(&str, i64); 14] = [
    ("purchase-queued", 0),
    ("purchase-begun", 0),
    ("purchase-locked", 0),
    ("purchase-read", 0),
    ("purchase-decided", 0),
    ("purchase-saved", 0),
    ("purchase-ordered", 0),
    ("purchase-taken", 0),
    ("purchase-written", 0),
    ("purchase-stored", 0),
    ("purchase-committed", 1),
    ("purchase-published", 1),
    ("purchase-answered", 1),
    ("purchase-emptied", 1),
];

/// The steps of a purchase that is refused.
const REFUSAL: [&str; 9] = [
    "purchase-queued",
    "purchase-begun",
    "purchase-locked",
    "purchase-read",
    "purchase-decided",
    "purchase-stored",
    "purchase-committed",
    "purchase-published",
    "purchase-answered",
];

/// The steps of a release, each with whether the product is released after it.
const RELEASE: [(&str, bool); 4] =
    [("release-begun", false), ("release-updated", false), ("release-committed", true), ("release-published", true)];

/// The number of shoppers that buy at once.
const SHOPPERS: usize = 12;

/// Starts a server that is killed at a step. The server that replaces it has the same port.
async fn start_to_die_at(shop: &Shop, step: &str) -> Program {
    Program::start_with(&shop.login, free_port(), &[("FAILPOINTS", step)]).await
}

/// Waits for the server's death, checks the ledger that it left, and starts another.
async fn replace(shop: &Shop, mut server: Program, step: &str) -> Program {
    assert_eq!(server.ended().await, None, "{step}: the process was not killed");
    assert_ledger(&shop.database).await;
    Program::start(&shop.login, server.port).await
}

async fn orders(shop: &Shop) -> i64 {
    ledger::totals(&shop.database).await.unwrap().0
}

async fn on_sqlite<F: Future<Output = ()>>(scenario: impl Fn(Shop) -> F) {
    scenario(Shop::sqlite().await.stocked(FEW).await).await;
}

async fn on_postgres<F: Future<Output = ()>>(test: &str, scenario: impl Fn(Shop) -> F) {
    match Postgres::shared().await {
        Ok(postgres) => scenario(Shop::postgres(postgres).await.stocked(FEW).await).await,
        Err(missing) => support::skip(test, &missing),
    }
}

#[test]
fn every_step_with_a_failpoint_is_tested() {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            found.extend(text.split("fail_point!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    let tested = PURCHASE.map(|(step, _)| step).into_iter().chain(RELEASE.map(|(step, _)| step));
    assert_eq!(found, tested.map(str::to_owned).collect());
}

async fn a_purchase_is_killed(shop: Shop) {
    release_all(&shop.database).await;
    let items = [ItemId(1), ItemId(14)];
    for (step, stored) in PURCHASE {
        for item in items {
            shelf::restock(&shop.database, item, 1).await.unwrap();
        }
        let before = orders(&shop).await;
        let server = start_to_die_at(&shop, &format!("{step}=return")).await;
        let mut shopper = shop.shopper(&server).await;
        for item in items {
            shopper.add(item).await;
        }
        let purchase = shopper.check_out().await;
        // The answer may reach the shopper before the process is killed after it.
        let first = shopper.pay(&purchase).await.ok();
        let server = replace(&shop, server, step).await;
        assert_eq!(orders(&shop).await - before, stored, "{step}");

        let answers = [first, shopper.pay(&purchase).await.ok(), shopper.pay(&purchase).await.ok()];
        let locations: BTreeSet<_> = answers.iter().flatten().map(location).collect();
        assert!(answers[1].is_some() && answers[2].is_some(), "{step}");
        assert_eq!(locations.len(), 1, "{step}: {locations:?}");
        assert_eq!(orders(&shop).await - before, 1, "{step}");
        let shelf = snapshot(&shop.database).await;
        assert!(items.iter().all(|item| shelf.item(*item).unwrap().available == FEW), "{step}: {shelf:?}");
        let order = shopper.get(&locations.into_iter().next().unwrap()).await;
        assert_eq!((order.status, order.attribute("data-number").is_some()), (200, true), "{step}");
        assert_ledger(&shop.database).await;
        drop(server);
    }
}

/// Returns the address of the order's page.
fn location(reply: &Reply) -> String {
    let location = reply.header("location").unwrap_or_else(|| panic!("it was not bought: {reply:?}"));
    assert!(location.starts_with("/checkout/complete/"), "{reply:?}");
    location.to_owned()
}

#[tokio::test]
async fn a_killed_purchase_is_bought_once_with_sqlite() {
    on_sqlite(a_purchase_is_killed).await;
}

#[tokio::test]
async fn a_killed_purchase_is_bought_once_with_postgres() {
    on_postgres("a killed purchase", a_purchase_is_killed).await;
}

async fn a_refused_purchase_is_killed(shop: Shop) {
    shelf::release(&shop.database, ProductId(1)).await.unwrap();
    let item = ItemId(1);
    for step in REFUSAL {
        let server = start_to_die_at(&shop, &format!("{step}=return")).await;
        let mut shopper = shop.shopper(&server).await;
        shopper.add(item).await;
        let purchase = shopper.check_out().await;
        set_price(&shop, 12_100).await;
        let first = shopper.pay(&purchase).await.ok();
        let server = replace(&shop, server, step).await;
        let again = shopper.pay(&purchase).await.unwrap();
        // A price that is as it was does not change a refusal.
        set_price(&shop, 12_000).await;
        let last = shopper.pay(&purchase).await.unwrap();
        for reply in first.iter().chain([&again, &last]) {
            assert_eq!(reply.status, 409, "{step}: {reply:?}");
            assert!(reply.body.contains(r#"data-reason="changed""#), "{step}: {reply:?}");
        }
        assert_eq!(orders(&shop).await, 0, "{step}");
        assert_ledger(&shop.database).await;
        drop(server);
    }
}

async fn set_price(shop: &Shop, cents: i64) {
    shelf::set_price(&shop.database, ProductId(1), sneakers_23::catalog::Cents(cents)).await.unwrap();
}

#[tokio::test]
async fn a_killed_refusal_is_final_with_sqlite() {
    on_sqlite(a_refused_purchase_is_killed).await;
}

#[tokio::test]
async fn a_killed_refusal_is_final_with_postgres() {
    on_postgres("a killed refusal", a_refused_purchase_is_killed).await;
}

async fn many_purchases_are_killed(shop: Shop) {
    release_all(&shop.database).await;
    let items = [ItemId(1), ItemId(14), ItemId(20)];
    for (step, _) in PURCHASE {
        for item in items {
            shelf::restock(&shop.database, item, SHOPPERS as i64).await.unwrap();
        }
        let before = orders(&shop).await;
        let server = start_to_die_at(&shop, &format!("{step}=1*off->return")).await;
        let ready = join_all((0..SHOPPERS).map(async |_| {
            let mut shopper = shop.shopper(&server).await;
            for item in items {
                shopper.add(item).await;
            }
            let purchase = shopper.check_out().await;
            (shopper, purchase)
        }));
        let mut ready = ready.await.into_iter();
        // The first purchase passes the step alone, and the others meet there.
        let (mut shopper, purchase) = ready.next().unwrap();
        let answer = shopper.pay(&purchase).await.ok();
        assert!(answer.is_some(), "{step}");
        let mut paid = vec![(shopper, purchase, answer)];
        let others = join_all(ready.map(async |(mut shopper, purchase)| {
            let answer = shopper.pay(&purchase).await.ok();
            (shopper, purchase, answer)
        }));
        paid.extend(others.await);
        let server = replace(&shop, server, step).await;
        let retried = join_all(paid.into_iter().map(async |(mut shopper, purchase, first)| {
            let last = location(&shopper.pay(&purchase).await.unwrap());
            assert!(first.is_none_or(|first| location(&first) == last), "{step}: two answers to one purchase");
            last
        }));
        assert_eq!(retried.await.into_iter().collect::<BTreeSet<_>>().len(), SHOPPERS, "{step}");
        assert_eq!(orders(&shop).await - before, SHOPPERS as i64, "{step}");
        assert_ledger(&shop.database).await;
        drop(server);
    }
    let shelf = snapshot(&shop.database).await;
    assert!(items.iter().all(|item| shelf.item(*item).unwrap().available == FEW), "each shopper has a pair: {shelf:?}");
}

#[tokio::test]
async fn many_purchases_that_are_killed_at_once_are_bought_once_each_with_sqlite() {
    on_sqlite(many_purchases_are_killed).await;
}

#[tokio::test]
async fn many_purchases_that_are_killed_at_once_are_bought_once_each_with_postgres() {
    on_postgres("many killed purchases", many_purchases_are_killed).await;
}

async fn a_release_is_killed(shop: Shop) {
    for (step, is_released) in RELEASE {
        let server = start_to_die_at(&shop, &format!("{step}=return")).await;
        let error = shop.login.fail(server.port, &["release", "1"]).await;
        assert!(error.starts_with("sneakers_23: "), "{step}: {error}");
        let server = replace(&shop, server, step).await;
        let released = async || snapshot(&shop.database).await.product(ProductId(1)).unwrap().released;
        assert_eq!(released().await, is_released, "{step}");
        let mut shopper = shop.shopper(&server).await;
        let shows_sizes = async |shopper: &mut Shopper| shopper.get("/").await.body.contains(r#"data-item-id="1""#);
        assert_eq!(shows_sizes(&mut shopper).await, is_released, "{step}");
        assert_eq!(shop.login.run(server.port, &["release", "1"]).await, "ok", "{step}");
        assert!(shows_sizes(&mut shopper).await && released().await, "{step}");
        shopper.buy(&[ItemId(1)]).await;
        assert_ledger(&shop.database).await;
        withdraw(&shop).await;
        drop(server);
    }
}

/// Makes the product one that was never released.
async fn withdraw(shop: &Shop) {
    let update = "UPDATE products SET released = 0, version = version + 1";
    sqlx::query(update).execute(&*shop.database.pool()).await.unwrap();
}

#[tokio::test]
async fn a_killed_release_has_happened_or_can_be_repeated_with_sqlite() {
    on_sqlite(a_release_is_killed).await;
}

#[tokio::test]
async fn a_killed_release_has_happened_or_can_be_repeated_with_postgres() {
    on_postgres("a killed release", a_release_is_killed).await;
}
