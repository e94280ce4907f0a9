//! The committer and the resolver: every purchase gets one final answer, whatever ends in the middle.

mod support;

use bennu::pubsub::PubSub;
use futures::future::join_all;
use futures::poll;
use rand::seq::{IndexedRandom, SliceRandom};
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger;
use sneakers_23::checkout::{Answer, Purchase, PurchaseId, Refusal, Settled};
use sneakers_23::database::Database;
use sneakers_23::inventory::Snapshot;
use sneakers_23::inventory::shelf;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use support::node::{Node, TASKS, two_nodes};
use support::{
    DEADLINE, assert_ledger, crash_after, in_stock, on_both, purchase, release_all, skip, snapshot, sold_out,
};
use test_postgres::Postgres;
use tokio::sync::broadcast;
use tokio::time::timeout;

/// Asserts that a bought purchase has its order, and that a refused one has none.
async fn assert_answers<'a>(database: &Database, answers: impl IntoIterator<Item = (&'a Purchase, &'a Answer)>) {
    for (purchase, answer) in answers {
        let stored = ledger::order(database, &purchase.id).await.unwrap();
        match answer {
            Answer::Bought(order) => assert_eq!(stored.as_ref(), Some(order)),
            Answer::Refused(refusal) => assert_eq!(stored, None, "{refusal:?}"),
            Answer::Unknown | Answer::Busy => panic!("{answer:?} is not final: {purchase:?}"),
        }
    }
}

/// Waits until each of these purchases is reported as settled, and returns their answers.
async fn settle(
    settled: &mut broadcast::Receiver<Arc<Settled>>,
    unknown: Vec<PurchaseId>,
) -> HashMap<PurchaseId, Answer> {
    let mut answers = HashMap::new();
    while unknown.iter().any(|id| !answers.contains_key(id)) {
        let report = timeout(DEADLINE, settled.recv()).await.expect("a purchase with an unknown outcome is settled");
        let Settled { purchase, outcome } = &*report.unwrap();
        let answer = Answer::from(outcome.clone());
        let before = answers.insert(purchase.id.clone(), answer.clone());
        assert!(before.is_none_or(|before| before == answer), "a purchase is settled differently the second time");
    }
    answers
}

/// Returns a purchase of up to four random items, in random order.
fn random_purchase(shelf: &Snapshot) -> Purchase {
    let mut random = rand::rng();
    let items: Vec<_> = shelf.items().map(|item| item.id).collect();
    let mut some: Vec<_> = items.choose_multiple(&mut random, 4).copied().collect();
    some.shuffle(&mut random);
    purchase(shelf, &some)
}

fn bought(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Answer::Bought(_))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_buyers_at_once_exactly_as_many_buy_as_there_are_pairs() {
    on_both("many buyers", async |database| {
        let shelf = release_all(&database).await;
        let item = sold_out(&shelf);
        shelf::restock(&database, item, 7).await.unwrap();
        let node = Arc::new(Node::start(database.clone()).await);
        let buyers: Vec<_> = (0..600)
            .map(|_| {
                let (node, wanted) = (node.clone(), purchase(&shelf, &[item]));
                tokio::spawn(async move { node.checkout.buy(wanted).await })
            })
            .collect();
        let answers: Vec<_> = join_all(buyers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(bought(&answers), 7);
        let refused = answers.iter().filter(|answer| **answer == Answer::Refused(Refusal::SoldOut(vec![item])));
        assert_eq!(refused.count(), 593, "the others are refused by the name of the item");
        assert_ledger(&database).await;
        assert_eq!(node.inventory.snapshot().item(item).unwrap().available, 0, "the snapshot has the sale at once");
    })
    .await;
}

#[tokio::test]
async fn one_purchase_that_is_sent_many_times_at_once_buys_once_and_has_one_answer() {
    on_both("one purchase many times", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let item = in_stock(&shelf).next().unwrap();
        let wanted = purchase(&shelf, &[item.id]);
        let answers = join_all((0..300).map(|_| node.checkout.buy(wanted.clone()))).await;
        assert!(matches!(answers[0], Answer::Bought(_)));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!(snapshot(&database).await.item(item.id).unwrap().available, item.available - 1);
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_purchase_without_items_is_refused_and_not_stored() {
    let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
    let shelf = release_all(&database).await;
    let node = Node::idle(database.clone(), PubSub::local()).await;
    let empty = purchase(&shelf, &[]);
    assert_eq!(node.checkout.buy(empty.clone()).await, Answer::Refused(Refusal::Empty));
    assert_eq!(ledger::order(&database, &empty.id).await.unwrap(), None);
}

#[tokio::test]
async fn an_item_that_does_not_exist_any_more_refuses_a_purchase_as_changed() {
    on_both("an item that does not exist any more", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let mut wanted = purchase(&shelf, &in_stock(&shelf).take(2).map(|item| item.id).collect::<Vec<_>>());
        wanted.lines[1].item_id = ItemId(-1);
        assert_eq!(node.checkout.buy(wanted).await, Answer::Refused(Refusal::Changed(vec![ItemId(-1)])));
        assert_eq!(snapshot(&database).await, shelf);
    })
    .await;
}

#[tokio::test]
async fn a_buyer_that_stops_to_wait_has_bought_all_the_same() {
    on_both("a buyer that stops to wait", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let item = in_stock(&shelf).next().unwrap().id;
        let left = purchase(&shelf, &[item]);
        assert!(poll!(pin!(node.checkout.buy(left.clone()))).is_pending());
        node.checkout.buy(purchase(&shelf, &[item])).await;
        assert!(ledger::order(&database, &left.id).await.unwrap().is_some(), "purchases are committed in their order");
        assert!(matches!(node.checkout.outcome(&left).await, Answer::Bought(_)));
    })
    .await;
}

#[tokio::test]
async fn the_outcome_of_a_purchase_that_never_arrived_is_a_refusal_for_ever() {
    on_both("a purchase that never arrived", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let lost = purchase(&shelf, &[in_stock(&shelf).next().unwrap().id]);
        let refused = Answer::Refused(Refusal::NotCompleted);
        assert_eq!(node.checkout.outcome(&lost).await, refused);
        assert_eq!(node.checkout.buy(lost.clone()).await, refused);
        assert_eq!(node.checkout.outcome(&lost).await, refused);
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_the_same_purchase_may_be_sent_again() {
    on_both("a full queue", async |database| {
        let shelf = release_all(&database).await;
        let (out, item) = (sold_out(&shelf), in_stock(&shelf).next().unwrap().id);
        shelf::restock(&database, out, 5).await.unwrap();
        let node = Node::idle(database.clone(), PubSub::local()).await;
        let mut waiting = Vec::new();
        let busy = loop {
            let wanted = purchase(&shelf, &[if waiting.is_empty() { item } else { out }]);
            let mut buying = Box::pin(node.checkout.buy(wanted.clone()));
            match poll!(&mut buying) {
                Poll::Ready(answer) => {
                    assert_eq!(answer, Answer::Busy);
                    break wanted;
                }
                Poll::Pending => waiting.push(buying),
            }
            assert!(waiting.len() < 100_000, "the queue of the committer has no bound");
        };
        assert_eq!(node.checkout.buy(busy.clone()).await, Answer::Busy, "until the committer runs");
        assert_eq!(ledger::totals(&database).await.unwrap().0, 0);

        node.run(&["committer", "resolver"]);
        let answers = join_all(waiting).await;
        assert_eq!(bought(&answers), 6);
        assert!(!answers.contains(&Answer::Unknown) && !answers.contains(&Answer::Busy));
        shelf::restock(&database, out, 1).await.unwrap();
        assert!(matches!(node.checkout.buy(busy).await, Answer::Bought(_)), "nothing was stored of the busy purchase");
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test]
async fn a_committer_that_ends_at_any_of_its_waits_leaves_no_purchase_without_its_true_answer() {
    on_both("a committer that ends", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::idle(database.clone(), PubSub::local()).await;
        node.run(&["resolver"]);
        let (out, some) = (sold_out(&shelf), in_stock(&shelf).take(2).map(|item| item.id).collect::<Vec<_>>());
        let mut kinds = [0; 3];
        for waits in 0..40 {
            let purchases = [purchase(&shelf, &some[..1]), purchase(&shelf, &some), purchase(&shelf, &[out])];
            let killed_and_started_again = async {
                crash_after(waits, node.checkout.clone().run_committer()).await;
                node.checkout.clone().run_committer().await;
            };
            let answers = tokio::select! {
                biased;
                answers = join_all(purchases.iter().map(|wanted| node.checkout.buy(wanted.clone()))) => answers,
                () = killed_and_started_again => unreachable!("a committer never returns"),
            };
            assert_answers(&database, purchases.iter().zip(&answers)).await;
            for answer in &answers {
                kinds[match answer {
                    Answer::Bought(_) => 0,
                    Answer::Refused(Refusal::NotCompleted) => 1,
                    _ => 2,
                }] += 1;
            }
            assert_ledger(&database).await;
        }
        assert!(kinds.iter().all(|count| *count > 0), "bought, not completed, sold out: {kinds:?}");
        node.inventory.reload().await;
        assert_eq!(*node.inventory.snapshot(), snapshot(&database).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_are_killed_again_and_again_while_shoppers_buy_lose_no_answer() {
    on_both("killed tasks", async |database| {
        let shelf = release_all(&database).await;
        let node = Arc::new(Node::start(database.clone()).await);
        let mut settled = node.checkout.settled();
        let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..40 {
            let (node, answered) = (node.clone(), answered.clone());
            let wanted: Vec<_> = (0..8).map(|_| random_purchase(&shelf)).collect();
            tokio::spawn(async move {
                for purchase in wanted {
                    let answer = node.checkout.buy(purchase.clone()).await;
                    answered.send((purchase, answer)).unwrap();
                }
            });
        }
        drop(answered);
        let mut all = Vec::new();
        while let Some(answer) = timeout(DEADLINE, answers.recv()).await.expect("no buyer hangs") {
            all.push(answer);
            let kill = ["committer", "resolver", "committer", "database", "committer", "inventory"];
            if all.len() % 20 == 0 {
                node.kill(kill[all.len() / 20 % kill.len()]).await;
            }
        }
        assert_eq!(all.len(), 320);
        assert!(node.supervisor.restarts("committer").unwrap() > 1, "the committer was killed and started again");
        let unknown = all.iter().filter(|(_, answer)| *answer == Answer::Unknown);
        let known_later = settle(&mut settled, unknown.map(|(purchase, _)| purchase.id.clone()).collect()).await;
        for (purchase, answer) in &mut all {
            if *answer == Answer::Unknown {
                *answer = known_later[&purchase.id].clone();
            }
        }
        assert_answers(&database, all.iter().map(|(purchase, answer)| (purchase, answer))).await;
        assert_ledger(&database).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_a_file_sells_while_its_pool_is_killed_and_another_process_changes_the_stock() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("store.db").display());
    let (database, other) =
        (sneakers_23::database::open(&url).await.unwrap(), sneakers_23::database::open(&url).await.unwrap());
    let shelf = release_all(&database).await;
    let node = Arc::new(Node::start(database.clone()).await);
    let mut settled = node.checkout.settled();
    let buyers: Vec<_> = (0..8)
        .map(|_| {
            let (node, shelf) = (node.clone(), shelf.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..20 {
                    let wanted = random_purchase(&shelf);
                    answers.push((wanted.clone(), node.checkout.buy(wanted).await));
                }
                answers
            })
        })
        .collect();
    for round in 0..30 {
        // Between processes SQLite has no turns: on a slow disk a writer may wait too long.
        let restocked = async { while shelf::restock(&other, ItemId(round % 26 + 1), 1).await.is_err() {} };
        timeout(DEADLINE, restocked).await.expect("another process gets its turn in the end");
        if round % 10 == 0 {
            node.supervisor.kill("database");
        }
        node.inventory.reload().await;
    }
    let mut all: Vec<_> = join_all(buyers).await.into_iter().flat_map(Result::unwrap).collect();
    let unknown = all.iter().filter(|(_, answer)| *answer == Answer::Unknown);
    let known_later = settle(&mut settled, unknown.map(|(purchase, _)| purchase.id.clone()).collect()).await;
    for (purchase, answer) in &mut all {
        if *answer == Answer::Unknown {
            *answer = known_later[&purchase.id].clone();
        }
    }
    assert_answers(&other, all.iter().map(|(purchase, answer)| (purchase, answer))).await;
    assert_ledger(&other).await;
    let truth = snapshot(&other).await;
    node.shows("the stock of the file", |shown| *shown == truth).await;
}

#[tokio::test]
async fn purchases_during_an_outage_of_the_database_are_unknown_and_each_is_settled_after_it() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("an outage of the database", &missing),
    };
    let database = sneakers_23::database::open(&postgres.create_database().await).await.unwrap();
    let shelf = release_all(&database).await;
    let node = Node::start(database.clone()).await;
    let mut settled = node.checkout.settled();
    let before = buy_one(&node, &shelf).await;

    postgres.stop().await;
    let purchases: Vec<_> = (0..5).map(|_| purchase(&shelf, &[before])).collect();
    let buying = join_all(purchases.iter().map(|wanted| node.checkout.buy(wanted.clone())));
    let answers = timeout(DEADLINE, buying).await.expect("a buyer waits for a limited time");
    assert_eq!(answers, vec![Answer::Unknown; 5]);
    assert!(database.down_since().is_some());
    assert_eq!(node.checkout.outcome(&purchases[0]).await, Answer::Unknown, "asked again while it is down");

    postgres.start_again().await;
    let known = settle(&mut settled, purchases.iter().map(|purchase| purchase.id.clone()).collect()).await;
    assert_answers(&database, purchases.iter().map(|purchase| (purchase, &known[&purchase.id]))).await;
    for purchase in &purchases {
        assert_eq!(node.checkout.buy(purchase.clone()).await, known[&purchase.id], "a form that is sent once more");
    }
    assert_eq!(database.down_since(), None);
    let later = node.checkout.buy(purchase(&shelf, &[before])).await;
    assert!(matches!(later, Answer::Bought(_)), "the store sells again: {later:?}");
    assert_ledger(&database).await;
}

/// Buys one pair of an item in stock, and returns the item.
async fn buy_one(node: &Node, shelf: &Snapshot) -> ItemId {
    let item = in_stock(shelf).next().unwrap().id;
    assert!(matches!(node.checkout.buy(purchase(shelf, &[item])).await, Answer::Bought(_)));
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_while_shoppers_buy_agrees_with_every_answer() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("a killed database", &missing),
    };
    let database = sneakers_23::database::open(&postgres.create_database().await).await.unwrap();
    let shelf = release_all(&database).await;
    let node = Arc::new(Node::start(database.clone()).await);
    let mut settled = node.checkout.settled();
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..20 {
        let (node, answered, shelf) = (node.clone(), answered.clone(), shelf.clone());
        tokio::spawn(async move {
            for _ in 0..30 {
                let purchase = random_purchase(&shelf);
                let answer = node.checkout.buy(purchase.clone()).await;
                let is_unknown = answer == Answer::Unknown;
                answered.send((purchase, answer)).unwrap();
                if is_unknown {
                    break;
                }
            }
        });
    }
    drop(answered);
    let mut all = Vec::new();
    while let Some(answer) = timeout(DEADLINE, answers.recv()).await.expect("no buyer hangs") {
        all.push(answer);
        if all.len() % 150 == 100 {
            postgres.kill().await;
            postgres.start_again().await;
        }
    }
    let unknown = all.iter().filter(|(_, answer)| *answer == Answer::Unknown);
    let known_later = settle(&mut settled, unknown.map(|(purchase, _)| purchase.id.clone()).collect()).await;
    for (purchase, answer) in &mut all {
        if *answer == Answer::Unknown {
            *answer = known_later[&purchase.id].clone();
        }
    }
    assert_answers(&database, all.iter().map(|(purchase, answer)| (purchase, answer))).await;
    assert_ledger(&database).await;
    node.shows("the stock of the database", |shown| {
        let sold = all.iter().filter(|(_, answer)| matches!(answer, Answer::Bought(_)));
        let pairs: usize = sold.map(|(purchase, _)| purchase.lines.len()).sum();
        shown.items().map(|item| item.sold()).sum::<i64>() == pairs as i64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_buy_from_all_sizes_at_once_neither_deadlock_nor_oversell() {
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("two nodes", &missing),
    };
    let url = postgres.create_database().await;
    let first = sneakers_23::database::open(&url).await.unwrap();
    let shelf = release_all(&first).await;
    let [one, two] = two_nodes();
    let nodes = [
        Arc::new(Node::idle(first, one).await),
        Arc::new(Node::idle(sneakers_23::database::open(&url).await.unwrap(), two).await),
    ];
    nodes.iter().for_each(|node| node.run(&TASKS));
    // Each purchase is sent to both nodes, as a browser does that tries again behind a proxy.
    let purchases: Vec<_> = (0..400).map(|_| random_purchase(&shelf)).collect();
    let send = |node: &Arc<Node>, purchases: Vec<Purchase>| {
        let node = node.clone();
        tokio::spawn(async move { join_all(purchases.into_iter().map(|wanted| node.checkout.buy(wanted))).await })
    };
    let mut reversed = purchases.clone();
    reversed.reverse();
    let (here, there) = (send(&nodes[0], purchases.clone()), send(&nodes[1], reversed));
    let (here, mut there) = (here.await.unwrap(), there.await.unwrap());
    there.reverse();
    assert_eq!(here, there, "one purchase has one answer on both nodes");
    assert!(bought(&here) > 0 && bought(&here) < 400, "some items are sold out from the start");
    assert_answers(&nodes[0].database, purchases.iter().zip(&here)).await;
    assert_ledger(&nodes[0].database).await;
    let log = std::fs::read_to_string(postgres.directory().join("log")).unwrap();
    assert!(!log.contains("deadlock"), "{log}");
    let truth = snapshot(&nodes[0].database).await;
    for node in &nodes {
        node.shows("the stock of the database", |shown| *shown == truth).await;
    }
}

#[tokio::test]
async fn outcomes_are_settled_for_as_many_purchases_as_asked_at_once() {
    on_both("many outcomes at once", async |database| {
        let shelf = release_all(&database).await;
        let node = Node::start(database.clone()).await;
        let item = in_stock(&shelf).next().unwrap().id;
        let lost: Vec<_> = (0..700).map(|_| purchase(&shelf, &[item])).collect();
        let mut settled = node.checkout.settled();
        let answers = join_all(lost.iter().map(|purchase| node.checkout.outcome(purchase))).await;
        let unknown = lost.iter().zip(&answers).filter(|(_, answer)| **answer == Answer::Unknown);
        settle(&mut settled, unknown.map(|(purchase, _)| purchase.id.clone()).collect()).await;
        let again = join_all(lost.iter().map(|purchase| node.checkout.buy(purchase.clone()))).await;
        assert_eq!(again, vec![Answer::Refused(Refusal::NotCompleted); 700]);
    })
    .await;
}
