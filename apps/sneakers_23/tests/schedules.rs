//! A law of the ledger, over random schedules of purchases, retries, restocks, crashes and reloads: a model of every item
//! and of every answer agrees with the database after each step.
//!
//! A crash drops a commit at one of its waits, as the end of its process would: the transaction is never completed by
//! the store. The next step finds out whether it was committed.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger::{Mode, commit};
use sneakers_23::checkout::{Outcome, Purchase, PurchaseId, Refusal};
use sneakers_23::database::Database;
use sneakers_23::inventory::shelf;
use sneakers_23::inventory::{Inventory, Snapshot};
use std::collections::{BTreeMap, HashMap};
use support::{assert_ledger, crash_after, inventory, purchase, release_all, skip, snapshot};
use test_postgres::Postgres;

/// The items of the schedules. Few, so that they sell out.
const ITEMS: i64 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Commits new purchases of these items together.
    Buy(Vec<Vec<i64>>),
    /// Sends an earlier purchase again.
    Retry(prop::sample::Index),
    /// Settles an earlier purchase whose outcome the buyer does not know.
    Settle(prop::sample::Index),
    /// Adds pairs to an item.
    Restock(i64, i64),
    /// Begins to commit a purchase, and crashes after this many waits.
    Crash(Vec<i64>, usize),
    /// Reloads the inventory.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let items =
        || prop::collection::btree_set(1..=ITEMS, 1..=2).prop_map(|items| items.into_iter().collect::<Vec<_>>());
    let step = prop_oneof![
        4 => prop::collection::vec(items(), 1..4).prop_map(Step::Buy),
        2 => any::<prop::sample::Index>().prop_map(Step::Retry),
        1 => any::<prop::sample::Index>().prop_map(Step::Settle),
        1 => (1..=ITEMS, 1..4_i64).prop_map(|(item, pairs)| Step::Restock(item, pairs)),
        2 => (items(), 0..14_usize).prop_map(|(items, waits)| Step::Crash(items, waits)),
        1 => Just(Step::Reload),
    ];
    prop::collection::vec(step, 1..10)
}

/// The truth, without a database.
#[derive(Default)]
struct Model {
    available: BTreeMap<ItemId, i64>,
    sent: Vec<Purchase>,
    answers: HashMap<PurchaseId, Outcome>,
}

impl Model {
    /// Checks the outcome of a purchase, and takes its pairs if it was bought just now.
    fn learn(&mut self, purchase: &Purchase, outcome: &Outcome) {
        if let Some(first) = self.answers.get(&purchase.id) {
            assert_eq!(outcome, first, "a purchase gets its first answer again");
            return;
        }
        match outcome {
            Outcome::Bought(_) => self.take(purchase),
            Outcome::Refused(Refusal::SoldOut(items)) => {
                let left = |item| self.available[&item];
                assert!(items.iter().all(|item| left(*item) == 0), "refused although {items:?} are left");
            }
            Outcome::Refused(refusal) => assert_eq!(*refusal, Refusal::NotCompleted),
        }
        self.answers.insert(purchase.id.clone(), outcome.clone());
    }

    fn take(&mut self, purchase: &Purchase) {
        for line in &purchase.lines {
            let left = self.available.get_mut(&line.item_id).unwrap();
            assert!(*left > 0, "item {} was sold and has no pair left", line.item_id);
            *left -= 1;
        }
    }
}

async fn play(database: &Database, inventory: &Inventory, steps: Vec<Step>) {
    let mut model = Model::default();
    for item in (1..=ITEMS).map(ItemId) {
        // Every schedule begins with three pairs or more.
        let stocked = shelf::restock(database, item, 3).await.unwrap().unwrap();
        model.available.insert(item, stocked.available);
    }
    let mut shelf = snapshot(database).await;
    for step in steps {
        take_step(database, inventory, &mut model, &shelf, step).await;
        shelf = snapshot(database).await;
        for (item, available) in &model.available {
            assert_eq!(shelf.item(*item).unwrap().available, *available, "item {item}");
        }
    }
}

async fn take_step(database: &Database, inventory: &Inventory, model: &mut Model, shelf: &Snapshot, step: Step) {
    let new = |items: &[i64]| purchase(shelf, &items.iter().map(|id| ItemId(*id)).collect::<Vec<_>>());
    match step {
        Step::Buy(all) => {
            let batch: Vec<_> = all.iter().map(|items| new(items)).collect();
            let committed = commit(database, &batch, Mode::Buy).await.unwrap();
            for (purchase, outcome) in batch.iter().zip(&committed.outcomes) {
                model.learn(purchase, outcome);
            }
            model.sent.extend(batch);
        }
        Step::Retry(_) | Step::Settle(_) if model.sent.is_empty() => {}
        Step::Retry(index) => resend(database, model, index.index(model.sent.len()), Mode::Buy).await,
        Step::Settle(index) => resend(database, model, index.index(model.sent.len()), Mode::Settle).await,
        Step::Restock(item, pairs) => {
            shelf::restock(database, ItemId(item), pairs).await.unwrap();
            *model.available.get_mut(&ItemId(item)).unwrap() += pairs;
        }
        Step::Crash(items, waits) => {
            let wanted = new(&items);
            let finished = crash_after(waits, commit(database, std::slice::from_ref(&wanted), Mode::Buy)).await;
            model.sent.push(wanted.clone());
            match finished {
                Some(committed) => model.learn(&wanted, &committed.unwrap().outcomes[0]),
                // The buyer sends it again, and takes the answer as it is.
                None => resend(database, model, model.sent.len() - 1, Mode::Buy).await,
            }
        }
        Step::Reload => {
            inventory.reload().await;
            assert_eq!(*inventory.snapshot(), *shelf, "a reload has the rows of the database");
        }
    }
}

async fn resend(database: &Database, model: &mut Model, index: usize, mode: Mode) {
    let purchase = model.sent[index].clone();
    let committed = commit(database, std::slice::from_ref(&purchase), mode).await.unwrap();
    model.learn(&purchase, &committed.outcomes[0]);
}

/// Plays this many schedules, one after the other, on one database.
fn play_schedules(runtime: &tokio::runtime::Runtime, database: Database, schedules: u32) {
    let inventory = runtime.block_on(async {
        release_all(&database).await;
        inventory(&database).await
    });
    let config = Config { cases: schedules, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let played = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(play(&database, &inventory, steps));
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    runtime.block_on(assert_ledger(&database));
}

#[test]
fn every_schedule_of_purchases_and_crashes_agrees_with_the_model_on_sqlite() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // In memory where the system has such a directory, since every commit waits for the disk.
    let memory = std::path::Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let url = format!("sqlite://{}", directory.path().join("store.db").display());
    let database = runtime.block_on(sneakers_23::database::open(&url)).unwrap();
    play_schedules(&runtime, database, 10_000);
}

#[test]
fn every_schedule_of_purchases_and_crashes_agrees_with_the_model_on_postgresql() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(async {
        let postgres = Postgres::builder().fsync(false).start().await?;
        let database = sneakers_23::database::open(&postgres.create_database().await).await.unwrap();
        Ok::<_, String>((postgres, database))
    });
    match database {
        Ok((_postgres, database)) => play_schedules(&runtime, database, 300),
        Err(missing) => skip("schedules on PostgreSQL", &missing),
    }
}
