//! The ledger's contract, on SQLite and on PostgreSQL.

mod support;

use sneakers_23::catalog::{Cents, ItemId, ProductId};
use sneakers_23::checkout::ledger::{self, Mode, commit};
use sneakers_23::checkout::{Outcome, Refusal};
use sneakers_23::database::{Database, seed};
use sneakers_23::inventory::shelf;
use support::{assert_ledger, crash_after, in_stock, on_both, purchase, release_all, skip, snapshot, sold_out};
use test_postgres::Postgres;

/// Commits one purchase and returns its outcome.
async fn buy(database: &Database, purchase: &sneakers_23::checkout::Purchase) -> Outcome {
    let committed = commit(database, std::slice::from_ref(purchase), Mode::Buy).await.unwrap();
    committed.outcomes.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_purchase_takes_a_pair_of_each_item_and_writes_its_rows() {
    on_both("a purchase", async |database| {
        let shelf = release_all(&database).await;
        let items: Vec<_> = in_stock(&shelf).take(3).collect();
        let wanted = purchase(&shelf, &items.iter().map(|item| item.id).collect::<Vec<_>>());
        let Outcome::Bought(order) = buy(&database, &wanted).await else { panic!("everything is in stock") };
        assert_eq!((order.total(), order.lines.len()), (Cents(36_000), 3));
        assert_eq!(ledger::order(&database, &wanted.id).await.unwrap().unwrap(), order);
        let after = snapshot(&database).await;
        for item in items {
            let now = after.item(item.id).unwrap();
            assert_eq!((now.available, now.version), (item.available - 1, item.version + 1));
        }
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn the_committed_rows_are_those_of_the_database() {
    on_both("the committed rows", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap().id;
        let purchases: Vec<_> = (0..20).map(|_| purchase(&shelf, &[item])).collect();
        let committed = commit(&database, &purchases, Mode::Buy).await.unwrap();
        assert_eq!(committed.rows.items, [snapshot(&database).await.item(item).unwrap().clone()]);
    })
    .await;
}

#[tokio::test]
async fn a_purchase_that_is_sent_again_buys_once_and_gets_the_first_answer() {
    on_both("a purchase that is sent again", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap();
        let wanted = purchase(&shelf, &[item.id]);
        let batch = [wanted.clone(), wanted.clone()];
        let outcomes = commit(&database, &batch, Mode::Buy).await.unwrap().outcomes;
        assert_eq!(outcomes[0], outcomes[1], "twice in one batch");
        assert_eq!(buy(&database, &wanted).await, outcomes[0], "again in a later one");
        assert_eq!(snapshot(&database).await.item(item.id).unwrap().available, item.available - 1);
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn one_item_that_is_sold_out_refuses_the_whole_purchase_and_is_named() {
    on_both("one item that is sold out", async |database| {
        let shelf = release_all(&database).await;
        let (out, other) = (sold_out(&shelf), in_stock(&shelf).next().unwrap());
        let wanted = purchase(&shelf, &[other.id, out]);
        assert_eq!(buy(&database, &wanted).await, Outcome::Refused(Refusal::SoldOut(vec![out])));
        assert_eq!(ledger::order(&database, &wanted.id).await.unwrap(), None);
        assert_eq!(snapshot(&database).await.item(other.id), Some(other));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_final_even_after_a_restock() {
    on_both("a refusal", async |database| {
        let shelf = release_all(&database).await;
        let out = sold_out(&shelf);
        let wanted = purchase(&shelf, &[out]);
        let refused = buy(&database, &wanted).await;
        shelf::restock(&database, out, 5).await.unwrap();
        assert_eq!(buy(&database, &wanted).await, refused);
        assert!(matches!(buy(&database, &purchase(&shelf, &[out])).await, Outcome::Bought(_)), "a new purchase buys");
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn the_last_pair_goes_to_one_of_two_purchases_of_a_batch() {
    on_both("the last pair", async |database| {
        let shelf = release_all(&database).await;
        let out = sold_out(&shelf);
        shelf::restock(&database, out, 1).await.unwrap();
        let batch = [purchase(&shelf, &[out]), purchase(&shelf, &[out])];
        let outcomes = commit(&database, &batch, Mode::Buy).await.unwrap().outcomes;
        assert!(matches!(outcomes[0], Outcome::Bought(_)));
        assert_eq!(outcomes[1], Outcome::Refused(Refusal::SoldOut(vec![out])));
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_price_that_has_changed_and_a_product_that_is_not_released_are_refused_by_name() {
    on_both("a changed price", async |database| {
        shelf::release(&database, ProductId(1)).await.unwrap();
        let shelf = snapshot(&database).await;
        let of_product = |id| in_stock(&shelf).find(|item| item.product_id == ProductId(id)).unwrap().id;
        let (released, soon) = (of_product(1), of_product(2));
        let not_released = buy(&database, &purchase(&shelf, &[released, soon])).await;
        assert_eq!(not_released, Outcome::Refused(Refusal::NotReleased(vec![soon])));
        shelf::set_price(&database, ProductId(1), Cents(9_900)).await.unwrap();
        let changed = buy(&database, &purchase(&shelf, &[released])).await;
        assert_eq!(changed, Outcome::Refused(Refusal::Changed(vec![released])));
    })
    .await;
}

#[tokio::test]
async fn an_item_that_does_not_exist_is_refused() {
    on_both("an unknown item", async |database| {
        let shelf = release_all(&database).await;
        let mut wanted = purchase(&shelf, &[in_stock(&shelf).next().unwrap().id]);
        wanted.lines[0].item_id = ItemId(-1);
        assert!(matches!(buy(&database, &wanted).await, Outcome::Refused(_)));
    })
    .await;
}

#[tokio::test]
async fn a_purchase_that_breaks_a_constraint_of_the_tables_is_refused_and_harms_no_other_of_its_batch() {
    on_both("a broken constraint", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap();
        let mut twice = purchase(&shelf, &[item.id]);
        twice.lines.push(twice.lines[0]);
        let batch = [purchase(&shelf, &[item.id]), twice, purchase(&shelf, &[item.id])];
        let committed = commit(&database, &batch, Mode::Buy).await.unwrap();
        assert!(
            matches!(committed.outcomes[0], Outcome::Bought(_)) && matches!(committed.outcomes[2], Outcome::Bought(_))
        );
        assert_eq!(committed.outcomes[1], Outcome::Refused(Refusal::NotCompleted));
        assert_eq!(committed.rows.items, [snapshot(&database).await.item(item.id).unwrap().clone()]);
        assert_eq!(committed.rows.items[0].available, item.available - 2);
        assert_eq!(buy(&database, &batch[1]).await, committed.outcomes[1], "the refusal is final");
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_purchase_that_was_settled_cannot_be_bought_later_and_a_bought_one_is_settled_as_bought() {
    on_both("a settled purchase", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap().id;
        let (lost, bought) = (purchase(&shelf, &[item]), purchase(&shelf, &[item]));
        let order = buy(&database, &bought).await;
        let settled = commit(&database, &[lost.clone(), bought], Mode::Settle).await.unwrap();
        assert_eq!(settled.outcomes, [Outcome::Refused(Refusal::NotCompleted), order]);
        assert_eq!(buy(&database, &lost).await, Outcome::Refused(Refusal::NotCompleted));
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_every_size_has_as_many_outcomes_as_purchases() {
    on_both("batches", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap().id;
        for count in [1, 4, 5, 64, 65, 256] {
            let batch: Vec<_> = (0..count).map(|_| purchase(&shelf, &[item])).collect();
            assert_eq!(commit(&database, &batch, Mode::Buy).await.unwrap().outcomes.len(), count);
        }
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn the_totals_and_the_newest_orders_are_those_that_were_bought() {
    on_both("totals", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap().id;
        let batch: Vec<_> = (0..3).map(|_| purchase(&shelf, &[item])).collect();
        commit(&database, &batch, Mode::Buy).await.unwrap();
        buy(&database, &purchase(&shelf, &[sold_out(&shelf)])).await;
        assert_eq!(ledger::totals(&database).await.unwrap(), (3, Cents(36_000)));
        assert_eq!(ledger::latest_orders(&database, 2).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_reset_deletes_the_orders_and_raises_every_version() {
    on_both("a reset", async |database| {
        let shelf = release_all(&database).await;
        let item = in_stock(&shelf).next().unwrap().id;
        buy(&database, &purchase(&shelf, &[item])).await;
        let before = snapshot(&database).await;
        seed::reset(&database).await.unwrap();
        let after = snapshot(&database).await;
        assert!(after.products().all(|product| !product.released));
        assert!(after.items().all(|item| item.version > before.item(item.id).unwrap().version));
        assert_eq!(ledger::totals(&database).await.unwrap(), (0, Cents(0)));
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_begin_leaves_no_connection_within_a_transaction() {
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("a dropped begin", &missing),
    };
    let url = postgres.create_database().await;
    let database = sneakers_23::database::open(&url).await.unwrap();
    for waits in 0..30 {
        crash_after(waits % 5, database.begin()).await;
        // The answer to a dropped request is read when its connection is used again.
        shelf::restock(&database, ItemId(1), 1).await.unwrap();
        let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        let mut left = String::new();
        for _ in 0..100 {
            left = postgres.query(&url, open).await.unwrap();
            if left == "0" {
                break;
            }
        }
        assert_eq!(left, "0", "connections within a transaction");
    }
}

#[tokio::test]
async fn two_nodes_share_the_settings_of_their_database() {
    on_both("settings", async |database| {
        assert_eq!(database.setting("secret", "first").await.unwrap(), "first");
        assert_eq!(database.setting("secret", "second").await.unwrap(), "first");
    })
    .await;
}
