//! Two processes over one PostgreSQL database, as one store: the same purchase has one answer on both nodes, no pair is
//! sold twice, a node that missed the other's notices is right within seconds, and a killed node loses nothing.

mod support;

use futures::future::{join, join_all};
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger;
use std::collections::BTreeSet;
use support::program::{FEW, Pair, Shop, login, until};
use support::shopper::Shopper;
use support::{assert_ledger, release_all, skip, snapshot};
use test_postgres::Postgres;
use test_program::visitor::Reply;
use test_program::{Program, Signal};

/// The shoppers of each node in a test with many of them.
const SHOPPERS: usize = 20;

/// The purchases of each shopper in the test of a killed node.
const PURCHASES: usize = 4;

/// Runs a test on a new database; without an installed PostgreSQL the test is reported as skipped.
async fn on_postgres<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(&'static Postgres) -> F) {
    match Postgres::shared().await {
        Ok(postgres) => scenario(postgres).await,
        Err(missing) => skip(test, &missing),
    }
}

/// Returns a shopper of a node with a filled cart, and the purchase of that cart.
async fn at_the_till(pair: &Pair, node: usize, items: &[ItemId]) -> (Shopper, String) {
    let mut shopper = pair.shop.shopper(&pair.nodes[node]).await;
    for item in items {
        shopper.add(*item).await;
    }
    let purchase = shopper.check_out().await;
    (shopper, purchase)
}

/// Returns the address of the order's page; `None` when the purchase was refused for a size that is sold out.
fn outcome(reply: &Reply) -> Option<String> {
    match reply.status {
        303 => Some(reply.header("location").unwrap().to_owned()),
        409 if reply.body.contains(r#"data-reason="sold_out""#) => None,
        _ => panic!("neither bought nor sold out: {reply:?}"),
    }
}

/// Releases both products, and waits until both nodes have both releases: a node may read the rows between the two.
async fn release_everywhere(pair: &Pair) {
    release_all(&pair.shop.database).await;
    for node in 0..2 {
        let is_released = async || !pair.command(node, "stock").await.contains("coming soon");
        until("both releases are on both nodes", is_released).await;
    }
}

async fn shows_sizes(shopper: &mut Shopper) -> bool {
    shopper.get("/").await.body.contains(r#"data-item-id="1""#)
}

#[tokio::test]
async fn a_shopper_has_one_session_one_cart_and_one_order_on_both_nodes() {
    on_postgres("one store", async |postgres| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(FEW).await).await;
        pair.command(0, "release 1").await;
        let mut shopper = pair.shop.shopper(&pair.nodes[0]).await;
        let [a, b] = [&pair.nodes[0], &pair.nodes[1]].map(Program::address);
        let cart = shopper.get("/").await.meta("cart-id");
        until("the release is on the other node", async || {
            let mut other = pair.shop.shopper(&pair.nodes[1]).await;
            shows_sizes(&mut other).await
        })
        .await;
        shopper.add(ItemId(1)).await;
        shopper.node = b;
        assert_eq!(shopper.get("/").await.meta("cart-id"), cart);
        shopper.add(ItemId(2)).await;
        let purchase = shopper.check_out().await;
        let paid = outcome(&shopper.pay(&purchase).await.unwrap()).unwrap();
        let on_b = shopper.get(&paid).await.attribute("data-number");
        shopper.node = a;
        assert!(on_b.is_some());
        assert_eq!(shopper.get(&paid).await.attribute("data-number"), on_b);
        assert_eq!(outcome(&shopper.pay(&purchase).await.unwrap()), Some(paid));
        assert_eq!(pair.command(0, "orders").await, pair.command(1, "orders").await);
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn two_nodes_that_start_at_once_on_an_empty_database_are_one_store() {
    on_postgres("two nodes that start at once", async |postgres| {
        let login = login(&postgres.create_database().await);
        let (a, b) = join(Program::start(&login, 0), Program::start(&login, 0)).await;
        let mut shopper = Shopper::arrive(a.address()).await;
        let cart = shopper.get("/").await.meta("cart-id");
        shopper.node = b.address();
        assert_eq!(shopper.get("/").await.meta("cart-id"), cart, "both nodes have the secret of the database");
        let stock = [login.run(a.port, &["stock"]).await, login.run(b.port, &["stock"]).await];
        assert_eq!(stock[0], stock[1]);
        assert_eq!(stock[0].matches("\n  item ").count(), 26);
    })
    .await;
}

#[tokio::test]
async fn a_purchase_that_is_sent_to_both_nodes_at_once_has_one_answer() {
    on_postgres("a purchase on both nodes", async |postgres| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(SHOPPERS as i64).await).await;
        release_everywhere(&pair).await;
        let address = [&pair.nodes[0], &pair.nodes[1]].map(Program::address);
        let orders = join_all((0..SHOPPERS).map(async |_| {
            let (mut shopper, purchase) = at_the_till(&pair, 0, &[ItemId(1), ItemId(14)]).await;
            let mut other = shopper.clone();
            other.node = address[1];
            let (one, two) = join(shopper.pay(&purchase), other.pay(&purchase)).await;
            let (one, two) = (outcome(&one.unwrap()), outcome(&two.unwrap()));
            assert_eq!(one, two);
            one.expect("there is a pair for each shopper")
        }));
        let orders: BTreeSet<_> = orders.await.into_iter().collect();
        assert_eq!(orders.len(), SHOPPERS);
        assert_eq!(ledger::totals(&pair.shop.database).await.unwrap().0, SHOPPERS as i64);
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn the_last_pairs_are_sold_once_when_both_nodes_sell_them_at_once() {
    on_postgres("the last pairs", async |postgres| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(FEW).await).await;
        release_everywhere(&pair).await;
        let ready = join_all((0..2 * SHOPPERS).map(|n| at_the_till(&pair, n % 2, &[ItemId(1), ItemId(2)]))).await;
        let paid = join_all(ready.into_iter().map(async |(mut shopper, purchase)| {
            let first = outcome(&shopper.pay(&purchase).await.unwrap());
            // The answer stays, on the other node too.
            shopper.node = pair.nodes.iter().map(Program::address).find(|node| *node != shopper.node).unwrap();
            assert_eq!(outcome(&shopper.pay(&purchase).await.unwrap()), first);
            first
        }));
        assert_eq!(paid.await.iter().flatten().collect::<BTreeSet<_>>().len(), FEW as usize);
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_missed_the_notices_of_the_other_is_right_within_seconds() {
    on_postgres("missed notices", async |postgres| {
        // Without a cluster a node receives no notice at all.
        let shop = Shop::postgres(postgres).await.stocked(FEW).await;
        let (a, b) = (shop.start().await, shop.start().await);
        let mut shopper = shop.shopper(&b).await;
        shop.command(&a, "release 1").await;
        until("the other node has the release", async || shows_sizes(&mut shopper).await).await;
        shop.command(&a, "restock 3 500").await;
        shop.command(&a, "price 2 15000").await;
        let stock = shop.command(&a, "stock").await;
        until("the other node has the stock", async || shop.command(&b, "stock").await == stock).await;
        drop((a, b));

        // A node that was frozen while the other changed everything.
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(FEW).await).await;
        let mut shopper = pair.shop.shopper(&pair.nodes[1]).await;
        pair.nodes[1].signal(Signal::STOP);
        pair.command(0, "release 1").await;
        pair.command(0, "sell-out").await;
        until("the first node has sold all", async || pair.command(0, "orders").await.starts_with("52 orders")).await;
        pair.nodes[1].signal(Signal::CONT);
        until("the frozen node has the release", async || shows_sizes(&mut shopper).await).await;
        let stock = pair.command(0, "stock").await;
        until("both nodes have one stock", async || pair.command(1, "stock").await == stock).await;
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_killed_during_purchases_loses_none_and_sells_none_twice() {
    on_postgres("a killed node", async |postgres| {
        let count = (2 * SHOPPERS * PURCHASES) as i64;
        let mut pair = Pair::start(Shop::postgres(postgres).await.stocked(count).await).await;
        release_everywhere(&pair).await;
        let address = [&pair.nodes[0], &pair.nodes[1]].map(Program::address);
        let orders = async || ledger::totals(&pair.shop.database).await.unwrap().0;
        // Each shopper opens the checkout several times, and so has several purchases.
        let ready = join_all((0..2 * SHOPPERS).map(async |n| {
            let (mut shopper, first) = at_the_till(&pair, n % 2, &[ItemId(1), ItemId(14)]).await;
            let mut purchases = vec![first];
            while purchases.len() < PURCHASES {
                purchases.push(shopper.check_out().await);
            }
            (shopper, purchases)
        }));
        let ready = ready.await;
        let kill = async {
            until("some purchases are stored", async || orders().await >= SHOPPERS as i64).await;
            pair.nodes[1].signal(Signal::KILL);
        };
        let pay = join_all(ready.into_iter().map(async |(mut shopper, purchases)| {
            let mut paid = Vec::new();
            for purchase in purchases {
                let answer = shopper.pay(&purchase).await.ok().map(|reply| outcome(&reply));
                paid.push((purchase, answer));
            }
            (shopper, paid)
        }));
        let (paid, ()) = join(pay, kill).await;
        let unanswered = |node| {
            let of_node = paid.iter().filter(|(shopper, _)| shopper.node == address[node]);
            of_node.flat_map(|(_, paid)| paid).filter(|(_, answer)| answer.is_none()).count()
        };
        assert_eq!(unanswered(0), 0, "the node that lives answers all");
        assert!(unanswered(1) > 0, "the other was killed before its last purchase");
        assert_ledger(&pair.shop.database).await;

        let retried = join_all(paid.into_iter().map(async |(mut shopper, paid)| {
            shopper.node = address[0];
            let mut orders = Vec::new();
            for (purchase, first) in paid {
                let answer = outcome(&shopper.pay(&purchase).await.unwrap());
                assert!(first.is_none_or(|first| first == answer), "a second answer: {answer:?}");
                orders.push(answer.expect("there is a pair for each purchase"));
            }
            (shopper, orders)
        }));
        let retried = retried.await;
        assert_eq!(orders().await, count);
        assert_eq!(pair.nodes[1].ended().await, None);
        pair.start_again(1).await;
        let mut numbers = BTreeSet::new();
        for (mut shopper, orders) in retried {
            shopper.node = address[1];
            numbers.insert(
                shopper.get(&orders[0]).await.attribute("data-number").expect("the new process shows every order"),
            );
        }
        assert_eq!(numbers.len(), 2 * SHOPPERS);
        let stock = pair.command(0, "stock").await;
        until("both nodes have one stock", async || pair.command(1, "stock").await == stock).await;
        assert_eq!(snapshot(&pair.shop.database).await.item(ItemId(1)).unwrap().available, 0);
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}
