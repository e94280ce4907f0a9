//! The contract of a source and of its deliveries.

use bennu_pipeline::{Delivery, Demand, DrainError, HandlerError, Pipeline, Source, handled};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A table that outlives its sources.
#[derive(Default)]
struct Table {
    rows: BTreeMap<u64, String>,
    fetches: Vec<(u64, usize)>,
    acks: Vec<Vec<u64>>,
    released: Vec<u64>,
    /// How many calls fail.
    fetches_fail: usize,
    acks_fail: usize,
    acks_panic: usize,
}

#[derive(Clone)]
struct Rows {
    table: Arc<Mutex<Table>>,
    start: Instant,
    taken: BTreeSet<u64>,
}

fn tick(failures: &mut usize) -> bool {
    let fails = *failures > 0;
    *failures -= usize::from(fails);
    fails
}

impl Source for Rows {
    type Item = String;
    type Id = u64;

    async fn fetch(&mut self, demand: usize) -> Result<Vec<(u64, String)>, HandlerError> {
        let mut table = self.table.lock();
        table.fetches.push((self.start.elapsed().as_secs(), demand));
        if tick(&mut table.fetches_fail) {
            return Err(HandlerError::new("the table is locked"));
        }
        let free = table.rows.iter().filter(|(id, _)| !self.taken.contains(id));
        let rows: Vec<_> = free.take(demand).map(|(id, row)| (*id, row.clone())).collect();
        self.taken.extend(rows.iter().map(|(id, _)| *id));
        Ok(rows)
    }

    async fn ack(&mut self, ids: &[u64]) -> Result<(), HandlerError> {
        sleep(Duration::from_millis(1)).await;
        let mut table = self.table.lock();
        if tick(&mut table.acks_fail) {
            return Err(HandlerError::new("the table is locked"));
        }
        assert!(!tick(&mut table.acks_panic), "the table is on fire");
        table.acks.push(ids.to_vec());
        for id in ids {
            table.rows.remove(id);
            self.taken.remove(id);
        }
        Ok(())
    }

    async fn release(&mut self, ids: &[u64]) -> Result<(), HandlerError> {
        self.table.lock().released.extend(ids);
        self.taken.retain(|id| !ids.contains(id));
        Ok(())
    }
}

fn rows(count: u64) -> Rows {
    let rows = (0..count).map(|id| (id, format!("row {id}"))).collect();
    let table = Arc::new(Mutex::new(Table { rows, ..Table::default() }));
    Rows { table, start: Instant::now(), taken: BTreeSet::new() }
}

/// Works for a second at each row, and acknowledges it.
async fn deliver(row: Delivery<Rows>) {
    sleep(SECOND).await;
    row.ack();
}

#[tokio::test(start_paused = true)]
async fn a_source_receives_demand_and_acknowledgements() {
    let rows = rows(10);
    let table = rows.table.clone();
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(4).min(0)).start(deliver).unwrap();
    sleep(SECOND * 2 + SECOND / 2).await;
    let fetches = table.lock().fetches.clone();
    assert_eq!(fetches, [(0, 4), (1, 4), (2, 4), (2, 2)]);
    sleep(SECOND * 3).await;
    pipeline.drain(SECOND).await.unwrap();
    let table = table.lock();
    assert!(table.rows.is_empty() && table.released.is_empty());
    assert_eq!(table.acks.concat().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_items_is_polled_each_poll_interval_and_one_with_items_at_once() {
    let rows = rows(0);
    let table = rows.table.clone();
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").poll_interval(SECOND * 3).start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(2)).start(deliver).unwrap();
    sleep(SECOND * 5).await;
    table.lock().rows.insert(1, "new".into());
    sleep(SECOND * 5).await;
    let fetches: Vec<u64> = table.lock().fetches.iter().map(|(at, _)| *at).collect();
    assert_eq!(fetches, [0, 3, 6, 6, 9]);
    assert!(table.lock().rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_closure_that_makes_a_source_is_a_crash_of_its_stage() {
    let rows = rows(1);
    let table = rows.table.clone();
    let attempts = AtomicUsize::new(0);
    let mut pipeline = Pipeline::new();
    let make = move || {
        assert!(attempts.fetch_add(1, Ordering::Relaxed) > 0, "the table is not there yet");
        rows.clone()
    };
    let source = pipeline.source("rows").start_with(make).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(1)).start(deliver).unwrap();
    sleep(SECOND * 3).await;
    assert!(table.lock().rows.is_empty());

    let mut broken = Pipeline::new();
    let make = || -> Rows { panic!("there is no table") };
    let source = broken.source("rows").max_restarts(0, SECOND).start_with(make).unwrap();
    broken.workers("deliver").subscribe(&source, Demand::max(1)).start(deliver).unwrap();
    assert!(broken.finished().await.is_err(), "its subscribers end too");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_acknowledged_is_released_and_delivered_again() {
    let rows = rows(1);
    let table = rows.table.clone();
    let attempts = Arc::new(Mutex::new(0));
    let work = {
        let attempts = attempts.clone();
        move |row: Delivery<Rows>| {
            let attempts = attempts.clone();
            async move {
                *attempts.lock() += 1;
                match *attempts.lock() {
                    1 => panic!("at first"),
                    2 => return Err(HandlerError::new("and then")),
                    _ => row.ack(),
                }
                handled()
            }
        }
    };
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("work").subscribe(&source, Demand::max(1)).start(work).unwrap();
    sleep(SECOND * 5).await;
    assert_eq!(*attempts.lock(), 3);
    let table = table.lock();
    assert_eq!((table.released.as_slice(), table.acks.as_slice()), ([0, 0].as_slice(), [vec![0]].as_slice()));
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_delivery_are_settled_once() {
    let rows = rows(2);
    let table = rows.table.clone();
    let again = Arc::new(AtomicBool::new(false));
    let work = move |row: Delivery<Rows>| {
        let again = again.clone();
        async move {
            let copy = row.clone();
            if row.as_str() == "row 0" || again.swap(true, Ordering::Relaxed) {
                row.ack();
                copy.ack();
            }
        }
    };
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("work").subscribe(&source, Demand::max(2)).start(work).unwrap();
    sleep(SECOND * 5).await;
    let table = table.lock();
    let mut acks = table.acks.concat();
    acks.sort_unstable();
    assert_eq!((acks.as_slice(), table.released.as_slice()), ([0, 1].as_slice(), [1].as_slice()));
}

#[tokio::test(start_paused = true)]
async fn failed_calls_are_repeated_after_the_poll_interval() {
    let rows = rows(3);
    let table = rows.table.clone();
    table.lock().fetches_fail = 2;
    table.lock().acks_fail = 2;
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(3).min(2)).start(deliver).unwrap();
    sleep(SECOND * 4 + SECOND / 2).await;
    assert_eq!(table.lock().rows.len(), 3, "fetched at 2 s, done at 3 s, acknowledged in vain then and at 4 s");
    sleep(SECOND).await;
    assert_eq!(table.lock().rows.len(), 0);
    assert_eq!(table.lock().fetches[..3].iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_that_a_panicked_source_did_not_store_go_to_the_next_source() {
    let rows = rows(3);
    let table = rows.table.clone();
    table.lock().acks_panic = 1;
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(3)).start(deliver).unwrap();
    sleep(SECOND * 5).await;
    pipeline.drain(SECOND).await.unwrap();
    assert!(table.lock().rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_until_all_acknowledgements_are_reported() {
    let rows = rows(100);
    let table = rows.table.clone();
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(10)).start(deliver).unwrap();
    sleep(SECOND / 2).await;
    pipeline.drain(SECOND).await.unwrap();
    let table = table.lock();
    assert_eq!((table.acks.concat().len(), table.rows.len(), table.released.len()), (10, 90, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_leaves_unacknowledged_rows_at_its_deadline() {
    let rows = rows(1);
    let table = rows.table.clone();
    table.lock().acks_fail = usize::MAX;
    let mut pipeline = Pipeline::new();
    let source = pipeline.source("rows").start(rows).unwrap();
    pipeline.workers("deliver").subscribe(&source, Demand::max(10)).start(deliver).unwrap();
    sleep(SECOND / 2).await;
    let deadline = SECOND * 10;
    assert_eq!(pipeline.drain(deadline).await, Err(DrainError::Deadline { deadline, stages: vec!["rows"] }));
    assert_eq!(table.lock().rows.len(), 1);
}
