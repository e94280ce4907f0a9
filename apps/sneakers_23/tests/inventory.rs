//! The inventory of a node: notices, reloads, events, and the times in which the database does not answer.

mod support;

use bennu::pubsub::PubSub;
use sneakers_23::catalog::{Cents, Item, ItemId, Level, Product, ProductId};
use sneakers_23::checkout::Answer;
use sneakers_23::database::{Database, seed};
use sneakers_23::inventory::shelf;
use sneakers_23::inventory::{ChangeError, Changes, Event, Inventory, Rows, Snapshot};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::node::{Node, TASKS, two_nodes};
use support::{DEADLINE, crash_after, in_stock, on_both, purchase, release_all, rows_of, skip, snapshot, sold_out};
use test_postgres::Postgres;
use tokio::time::timeout;

/// The PubSub topic of the notices, as it is between the nodes.
const NOTICES: &str = "sneakers_23:inventory";

/// Two nodes of one database. The first has a committer, the second runs these tasks only.
async fn nodes(database: &Database, second: &[&'static str]) -> [Node; 2] {
    let [one, two] = two_nodes();
    let nodes = [Node::idle(database.clone(), one).await, Node::idle(database.clone(), two).await];
    nodes[0].run(&["committer"]);
    nodes[1].run(second);
    nodes
}

/// Waits until a node is subscribed to the notices. The first reload of a node needs no more than that.
async fn is_subscribed(node: &Node, pubsub: &PubSub) {
    let subscribed = async {
        while pubsub.subscriber_count(NOTICES) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, subscribed).await.unwrap_or_else(|_| panic!("{:?} has no subscription", node.supervisor.names()));
}

async fn next(changes: &mut Changes) -> (Arc<Snapshot>, Vec<Event>) {
    timeout(DEADLINE, changes.next()).await.expect("the inventory changes")
}

fn available(snapshot: &Snapshot, item: ItemId) -> i64 {
    snapshot.item(item).unwrap().available
}

#[tokio::test]
async fn a_release_a_price_a_restock_and_a_sale_reach_the_other_node_by_a_notice() {
    on_both("notices", async |database| {
        let [one, two] = two_nodes();
        let nodes = [Node::idle(database.clone(), one).await, Node::idle(database.clone(), two.clone()).await];
        nodes[0].run(&["committer"]);
        // Without the task `inventory` this node never reads the database.
        nodes[1].run(&["replication"]);
        is_subscribed(&nodes[1], &two).await;
        let mut changes = nodes[1].inventory.changes();
        let out = sold_out(&nodes[0].inventory.snapshot());
        let product = nodes[0].inventory.snapshot().item(out).unwrap().product_id;

        nodes[0].inventory.release(product).await.unwrap();
        assert_eq!(next(&mut changes).await.1, [Event::Released(product)]);
        nodes[0].inventory.set_price(product, Cents(9_900)).await.unwrap();
        assert_eq!(next(&mut changes).await.1, [Event::PriceChanged(product, Cents(9_900))]);
        nodes[0].inventory.restock(out, 1).await.unwrap();
        assert_eq!(next(&mut changes).await.1, [Event::LevelChanged(out, Level::Low, Some(Level::Out))]);
        let answer = nodes[0].checkout.buy(purchase(&nodes[0].inventory.snapshot(), &[out])).await;
        assert!(matches!(answer, Answer::Bought(_)));
        assert_eq!(next(&mut changes).await.1, [Event::LevelChanged(out, Level::Out, Some(Level::Low))]);
        assert_eq!(*nodes[1].inventory.snapshot(), snapshot(&database).await);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_missed_every_notice_is_right_after_a_reload() {
    on_both("missed notices", async |database| {
        let [one, two] = nodes(&database, &["inventory"]).await;
        let item = in_stock(&one.inventory.snapshot()).next().unwrap().clone();
        one.inventory.release(item.product_id).await.unwrap();
        one.inventory.restock(item.id, 10_000).await.unwrap();
        let answer = one.checkout.buy(purchase(&one.inventory.snapshot(), &[item.id])).await;
        assert!(matches!(answer, Answer::Bought(_)));
        two.shows("the release and the sale", |shown| *shown == *one.inventory.snapshot()).await;
        assert_eq!(available(&two.inventory.snapshot(), item.id), item.available + 9_999);
    })
    .await;
}

#[tokio::test]
async fn a_notice_that_arrives_after_a_newer_row_changes_nothing() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let [one, two] = two_nodes();
    let node = Node::idle(database.clone(), two.clone()).await;
    node.run(&["replication"]);
    is_subscribed(&node, &two).await;
    let item = in_stock(&node.inventory.snapshot()).next().unwrap().clone();
    let newer = Item { available: 7, version: item.version + 5, ..item.clone() };
    one.broadcast(NOTICES, Rows { items: vec![newer.clone()], ..Rows::default() }).unwrap();
    let mut changes = node.inventory.changes();
    one.broadcast(NOTICES, rows_of(&item, 3)).unwrap();
    one.broadcast(NOTICES, Rows { items: vec![Item { available: 1, ..newer.clone() }], ..Rows::default() }).unwrap();
    // Notices of one node keep their order: after the last one, the two before it were merged.
    let product = node.inventory.snapshot().product(item.product_id).unwrap().clone();
    let last = Product { price: Cents(1), version: product.version + 1, ..product };
    one.broadcast(NOTICES, Rows { products: vec![last], ..Rows::default() }).unwrap();
    loop {
        let (shown, events) = next(&mut changes).await;
        assert_eq!(shown.item(item.id), Some(&newer));
        if events.contains(&Event::PriceChanged(item.product_id, Cents(1))) {
            break;
        }
    }
}

#[tokio::test]
async fn a_size_that_sold_out_is_reported_to_a_subscriber_that_missed_all_steps_before() {
    on_both("sold out in many steps", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let item = in_stock(&shelf).min_by_key(|item| item.available).unwrap();
        let mut changes = node.inventory.changes();
        let all = (0..item.available).map(|_| node.checkout.buy(purchase(&shelf, &[item.id])));
        futures::future::join_all(all).await;
        let was = Some(item.level());
        assert_eq!(next(&mut changes).await.1, [Event::LevelChanged(item.id, Level::Out, was)]);
    })
    .await;
}

#[tokio::test]
async fn changes_out_of_range_and_of_things_that_do_not_exist_are_refused_in_words_and_change_nothing() {
    on_both("refused changes", async |database| {
        let inventory = support::inventory(&database).await;
        let before = snapshot(&database).await;
        let mut errors = Vec::new();
        for product in [0, 3, -1, i64::MAX, i64::MIN] {
            errors.push((inventory.release(ProductId(product)).await, format!("there is no product {product}")));
            let priced = inventory.set_price(ProductId(product), Cents(100)).await;
            errors.push((priced, format!("there is no product {product}")));
        }
        for item in [0, 27, -1, i64::MAX, i64::MIN] {
            errors.push((inventory.restock(ItemId(item), 1).await, format!("there is no item {item}")));
        }
        for amount in [0, -1, 10_001, i64::MAX, i64::MIN] {
            let words = format!("{amount} is not a number of pairs to add: it must be from 1 to 10000");
            errors.push((inventory.restock(ItemId(1), amount).await, words));
        }
        for price in [0, -1, 1_000_001, i64::MAX, i64::MIN] {
            let words = format!("{price} is not a price in cents: it must be from 1 to 1000000");
            errors.push((inventory.set_price(ProductId(1), Cents(price)).await, words));
        }
        for (refused, words) in errors {
            assert_eq!(refused.unwrap_err().to_string(), words);
        }
        assert_eq!(snapshot(&database).await, before);
    })
    .await;
}

#[tokio::test]
async fn while_the_database_is_down_the_snapshot_stays_and_a_change_is_refused_in_words() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("the inventory without a database", &missing),
    };
    let url = postgres.create_database().await;
    let database = sneakers_23::database::open(&url).await.unwrap();
    let node = Node::start(database.clone()).await;
    let (shown, mut changes) = (node.inventory.snapshot(), node.inventory.changes());
    postgres.stop().await;
    node.inventory.reload().await;
    assert_eq!(node.inventory.snapshot(), shown);
    let since = database.down_since().expect("the outage is noted");
    let refused = timeout(DEADLINE, node.inventory.release(ProductId(1))).await.expect("in a limited time");
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ChangeError::Database(_)));
    assert!(refused.to_string().starts_with("the database does not answer, try again"), "{refused}");
    assert_eq!(database.down_since(), Some(since), "the time is that of the first failure");

    postgres.start_again().await;
    let update = "UPDATE products SET price_cents = 9900, version = version + 1 WHERE id = 2";
    postgres.query(&url, update).await.unwrap();
    assert_eq!(
        next(&mut changes).await.1,
        [Event::PriceChanged(ProductId(2), Cents(9_900))],
        "the node corrects itself"
    );
    assert_eq!(database.down_since(), None);
    node.inventory.release(ProductId(1)).await.unwrap();
}

#[tokio::test]
async fn killed_tasks_come_back_and_a_change_made_meanwhile_is_not_missed() {
    on_both("killed tasks", async |database| {
        let [one, two] = nodes(&database, &["inventory", "replication"]).await;
        let item = one.inventory.snapshot().items().next().unwrap().id;
        for _ in 0..4 {
            let change = async {
                one.inventory.restock(item, 1).await.unwrap();
                let now = available(&one.inventory.snapshot(), item);
                two.shows("the restock", |shown| available(shown, item) == now).await;
            };
            tokio::join!(two.kill("replication"), two.kill("inventory"), change);
        }
        assert_eq!(*two.inventory.snapshot(), snapshot(&database).await);
    })
    .await;
}

#[tokio::test]
async fn a_killed_replication_hears_the_notices_again() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let [one, two] = two_nodes();
    let (first, second) = (Node::idle(database.clone(), one).await, Node::idle(database.clone(), two.clone()).await);
    second.run(&["replication"]);
    is_subscribed(&second, &two).await;
    second.kill("replication").await;
    is_subscribed(&second, &two).await;
    first.inventory.release(ProductId(1)).await.unwrap();
    second.shows("the release", |shown| shown.product(ProductId(1)).unwrap().released).await;
}

#[tokio::test]
async fn a_reset_by_another_process_reaches_a_running_node() {
    on_both("a reset", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let item = in_stock(&shelf).next().unwrap().id;
        assert!(matches!(node.checkout.buy(purchase(&shelf, &[item])).await, Answer::Bought(_)));
        seed::reset(&database).await.unwrap();
        let truth = snapshot(&database).await;
        node.shows("the new stock", |shown| *shown == truth).await;
    })
    .await;
}

#[tokio::test]
async fn processes_that_start_at_once_on_an_empty_database_share_one_stock() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", directory.path().join("store.db").display());
    let mut urls = Vec::new();
    match Postgres::shared().await {
        Ok(postgres) => urls.push(postgres.create_database().await),
        Err(missing) => skip("processes that start at once", &missing),
    }
    urls.push(sqlite);
    for url in urls {
        let opened = futures::future::join_all((0..4).map(|_| sneakers_23::database::open(&url))).await;
        let databases: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
        let first = snapshot(&databases[0]).await;
        assert_eq!((first.products().count(), first.items().count()), (2, 26));
        for database in &databases {
            assert_eq!(snapshot(database).await, first);
        }
    }
}

#[tokio::test]
async fn a_price_and_a_release_of_two_nodes_at_once_are_both_kept() {
    on_both("two changes at once", async |database| {
        let [one, two] = nodes(&database, &TASKS[1..3]).await;
        let (released, priced) =
            tokio::join!(one.inventory.release(ProductId(1)), two.inventory.set_price(ProductId(1), Cents(1)));
        released.unwrap();
        priced.unwrap();
        let product = shelf::read_all(&database).await.unwrap().products[0].clone();
        assert_eq!((product.released, product.price, product.version), (true, Cents(1), 3));
        two.shows("both", |shown| shown.product(ProductId(1)) == Some(&product)).await;
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_is_read_without_the_database() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let inventory: Inventory = support::inventory(&database).await;
    // The only connection of a database in memory is taken.
    let _transaction = database.begin().await.unwrap();
    assert_eq!(inventory.snapshot().items().count(), 26);
}

#[tokio::test]
async fn a_database_in_memory_outlives_a_reload_that_is_dropped_at_any_of_its_waits() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let inventory = support::inventory(&database).await;
    let before = snapshot(&database).await;
    for waits in 0..20 {
        crash_after(waits % 5, inventory.reload()).await;
        assert_eq!(snapshot(&database).await, before, "after {} waits", waits % 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restock_gets_its_turn_beside_a_writer_that_never_pauses() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("store.db").display());
    let database = sneakers_23::database::open(&url).await.unwrap();
    let inventory = support::inventory(&database).await;
    let (writer, turns) = (database.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = turns.clone();
    // As the committer on a slow disk during a rush.
    let writing = tokio::spawn(async move {
        loop {
            let tx = writer.begin().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            tx.commit().await.unwrap();
        }
    });
    while turns.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    for item in 1..=10 {
        let before = turns.load(Ordering::Relaxed);
        inventory.restock(ItemId(item), 1).await.unwrap();
        let waited = turns.load(Ordering::Relaxed) - before;
        assert!(waited <= 2, "{waited} transactions began before the restock of item {item}");
    }
    writing.abort();
}
