//! Code that the tests share: databases of both kinds, and purchases.

// Each test file is a program of its own and uses a part of this module.
#![allow(dead_code)]

pub(crate) mod browser;
pub(crate) mod node;
pub(crate) mod program;
pub(crate) mod server;
pub(crate) mod shop;
pub(crate) mod shopper;
pub(crate) mod visitor;
pub(crate) mod wire;

use sneakers_23::catalog::{Item, ItemId, ProductId};
use sneakers_23::checkout::{CartId, Purchase};
use sneakers_23::database::Database;
use sneakers_23::inventory::shelf;
use sneakers_23::inventory::{Inventory, Rows, Snapshot};
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use test_postgres::Postgres;

/// The time limit of each wait, for a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test on SQLite and on PostgreSQL. Without an installed PostgreSQL that half is reported as skipped.
pub(crate) async fn on_both<F: Future<Output = ()>>(test: &str, scenario: impl Fn(Database) -> F) {
    scenario(sneakers_23::database::open("sqlite::memory:").await.unwrap()).await;
    match Postgres::shared().await {
        Ok(postgres) => scenario(sneakers_23::database::open(&postgres.create_database().await).await.unwrap()).await,
        Err(missing) => skip(test, &missing),
    }
}

/// Reports on standard error that a test is skipped, and the missing requirement.
pub(crate) fn skip(test: &str, missing: &str) {
    // Not `eprintln`, whose output libtest hides when a test passes.
    std::io::stderr().write_all(format!("SKIPPED {test}: {missing}\n").as_bytes()).unwrap();
}

/// Releases both products, and returns the rows.
pub(crate) async fn release_all(database: &Database) -> Snapshot {
    for product in [ProductId(1), ProductId(2)] {
        shelf::release(database, product).await.unwrap();
    }
    snapshot(database).await
}

pub(crate) async fn snapshot(database: &Database) -> Snapshot {
    Snapshot::of(&shelf::read_all(database).await.unwrap())
}

/// Returns the first items with pairs left.
pub(crate) fn in_stock(shelf: &Snapshot) -> impl Iterator<Item = &Item> {
    shelf.items().filter(|item| item.available > 0)
}

/// Returns an item that is sold out in the seed.
pub(crate) fn sold_out(shelf: &Snapshot) -> ItemId {
    shelf.items().find(|item| item.available == 0).expect("the seed has items that are sold out").id
}

/// Returns a purchase of these items at their prices.
pub(crate) fn purchase(shelf: &Snapshot, items: &[ItemId]) -> Purchase {
    Purchase::new(CartId::random().unwrap(), items, shelf).unwrap()
}

/// Asserts for every item that the pairs that were stocked are those that are left and those that were sold.
pub(crate) async fn assert_ledger(database: &Database) {
    let sold: Vec<(i64, i64)> = sqlx::query_as("SELECT item_id, COUNT(*) FROM order_items GROUP BY item_id")
        .fetch_all(&*database.pool())
        .await
        .unwrap();
    for item in snapshot(database).await.items() {
        let sold = sold.iter().find(|(id, _)| *id == item.id.0).map_or(0, |(_, sold)| *sold);
        assert_eq!(item.available + sold, item.stocked, "{item:?} and {sold} rows in order_items");
        assert!(item.available >= 0, "{item:?}");
    }
}

/// Loads the inventory of a node without others.
pub(crate) async fn inventory(database: &Database) -> Inventory {
    Inventory::load(database.clone(), bennu::pubsub::PubSub::local()).await.unwrap()
}

/// Rows with one item, which has this many pairs.
pub(crate) fn rows_of(item: &Item, available: i64) -> Rows {
    Rows { items: vec![Item { available, version: item.version + 1, ..item.clone() }], ..Rows::default() }
}

/// Polls a future until it has waited this many times, then drops it. Returns its output if it ended before.
pub(crate) async fn crash_after<T>(waits: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut waited = 0;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if waited == waits => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}
