//! Nodes and databases that neither work nor end: everybody else gets an answer within seconds.

mod support;

use futures::future::join_all;
use sneakers_23::catalog::ProductId;
use sneakers_23::checkout::Answer;
use sneakers_23::checkout::ledger;
use std::collections::HashSet;
use support::node::Node;
use support::wire::Wire;
use support::{DEADLINE, assert_ledger, in_stock, purchase, release_all, skip};
use test_postgres::Postgres;
use tokio::time::timeout;

/// Returns the URL of the same database over a wire.
fn over(wire: &Wire, url: &str) -> String {
    let (user, rest) = url.split_once('@').unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    format!("{user}@127.0.0.1:{}/{name}", wire.port())
}

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').unwrap();
    rest.split_once('/').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn a_node_that_freezes_in_the_middle_of_a_purchase_does_not_stop_the_other_node() {
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("a frozen node", &missing),
    };
    let url = postgres.create_database().await;
    let [frozen, database] =
        [sneakers_23::database::open(&url).await.unwrap(), sneakers_23::database::open(&url).await.unwrap()];
    let shelf = release_all(&database).await;
    let node = Node::start(database.clone()).await;
    let mut tx = frozen.begin().await.unwrap();
    sneakers_23::database::lock_items(&frozen, &mut tx).await.unwrap();

    let item = in_stock(&shelf).next().unwrap().id;
    let wanted = purchase(&shelf, &[item]);
    let mut answer =
        timeout(DEADLINE, node.checkout.buy(wanted.clone())).await.expect("a buyer waits for a limited time");
    if answer == Answer::Unknown {
        let settled = async {
            while answer == Answer::Unknown {
                answer = node.checkout.outcome(&wanted).await;
            }
        };
        timeout(DEADLINE, settled).await.expect("the frozen node holds its lock for a limited time");
    }
    let later = node.checkout.buy(purchase(&shelf, &[item])).await;
    assert!(matches!(later, Answer::Bought(_)), "the store sells again: {later:?}");
    assert!(tx.commit().await.is_err(), "the transaction of the frozen node was rolled back");
    assert_ledger(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_at_any_message_stops_nobody_for_long_and_is_used_again_after_it() {
    match Postgres::shared().await {
        // The messages of one purchase are about 24; at each of these the next one is lost.
        Ok(postgres) => drop(join_all((1..30).step_by(2).map(|message| fall_silent(postgres, message))).await),
        Err(missing) => skip("a silent database", &missing),
    }
}

async fn fall_silent(postgres: &Postgres, message: usize) {
    let url = postgres.create_database().await;
    let wire = Wire::to(port_of(&url)).await;
    let database = sneakers_23::database::open(&over(&wire, &url)).await.unwrap();
    let shelf = release_all(&database).await;
    let node = Node::start(database.clone()).await;
    let item = in_stock(&shelf).next().unwrap().id;
    let mut settled = node.checkout.settled();
    let shopper = async || {
        loop {
            let wanted = purchase(&shelf, &[item]);
            match node.checkout.buy(wanted.clone()).await {
                Answer::Bought(_) => {}
                answer => break (wanted, answer),
            }
        }
    };
    let (unknown, ()) =
        timeout(DEADLINE, async { tokio::join!(join_all((0..4).map(|_| shopper())), wire.cut_at(message)) })
            .await
            .unwrap_or_else(|_| panic!("a buyer waits for a limited time, cut at message {message}"));
    assert!(unknown.iter().all(|(_, answer)| *answer == Answer::Unknown), "{unknown:?}");
    assert!(database.down_since().is_some(), "silence is an outage");
    let releasing = node.inventory.release(ProductId(1));
    let refused = timeout(DEADLINE, releasing).await.expect("a command waits for a limited time");
    assert!(refused.unwrap_err().to_string().starts_with("the database does not answer"));

    wire.repair();
    let mut known = HashSet::new();
    while !unknown.iter().all(|(purchase, _)| known.contains(&purchase.id)) {
        let report = timeout(DEADLINE, settled.recv()).await.expect("a purchase with an unknown outcome is settled");
        known.insert(report.unwrap().purchase.id.clone());
    }
    let again = async {
        loop {
            if let Answer::Bought(order) = node.checkout.buy(purchase(&shelf, &[item])).await {
                break order;
            }
        }
    };
    let order = timeout(DEADLINE, again).await.expect("the store sells again");
    assert!(ledger::order(&database, &order.id).await.unwrap().is_some());
    assert_eq!(database.down_since(), None);
    assert_ledger(&database).await;
}
