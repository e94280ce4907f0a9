//! Whole pipelines on several threads: no wake-up is lost, and each item is worked at exactly once. Tests end by events only.

use bennu_pipeline::{Buffer, Demand, Pipeline, from_iter, hash};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

const TASKS: u64 = 8;
const ITEMS: u64 = 1_000;

/// Longer than any test takes: a drain that reaches it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Items of several tasks through a small buffer, a stage in the middle, and workers or consumers of its partitions.
async fn run(buffer: usize, demand: Demand, workers: bool) {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("queue").buffer(Buffer::keep_last(buffer)).start().unwrap();
    let middle = pipeline.producer_consumer("middle").subscribe(&queue, demand).partition(2, hash);
    let middle = middle.start(|items: Vec<u64>| async { items }).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for partition in 0..2 {
        let seen = seen.clone();
        let work = move |items: Vec<u64>| {
            let seen = seen.clone();
            async move {
                // Some wait and some do not.
                if items.iter().any(|item| item % 7 == 0) {
                    tokio::task::yield_now().await;
                }
                seen.lock().extend(items);
            }
        };
        if workers {
            let work = move |item: u64| work(vec![item]);
            pipeline.workers("end").subscribe(&middle.partition(partition), demand).start(work).unwrap();
        } else {
            pipeline.consumer("end").subscribe(&middle.partition(partition), demand).start(work).unwrap();
        }
    }
    let pushes = (0..TASKS).map(|task| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for item in 0..ITEMS {
                queue.push(task * ITEMS + item).await.unwrap();
            }
        })
    });
    for push in futures::future::join_all(pushes).await {
        push.unwrap();
    }
    pipeline.drain(HANGS).await.unwrap();
    let mut seen = std::mem::take(&mut *seen.lock());
    seen.sort_unstable();
    assert_eq!(seen, (0..TASKS * ITEMS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_item_of_many_tasks_is_worked_at_exactly_once() {
    for (buffer, demand) in [(1, Demand::max(1)), (3, Demand::max(4)), (0, Demand::max(100)), (500, Demand::max(1000))]
    {
        for workers in [true, false] {
            run(buffer, demand, workers).await;
        }
    }
}

/// Items of a producer with two subscribers; the work at some of them waits.
async fn made(demand: Demand, workers: bool) {
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.producer("numbers").start(from_iter(0..ITEMS * TASKS)).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for name in ["left", "right"] {
        let seen = seen.clone();
        let work = move |items: Vec<u64>| {
            let seen = seen.clone();
            async move {
                if items.iter().any(|item| item % 7 == 0) {
                    tokio::task::yield_now().await;
                }
                seen.lock().extend(items);
            }
        };
        if workers {
            let work = move |item: u64| work(vec![item]);
            pipeline.workers(name).subscribe(&numbers, demand).start(work).unwrap();
        } else {
            pipeline.consumer(name).subscribe(&numbers, demand).start(work).unwrap();
        }
    }
    tokio::time::timeout(HANGS, pipeline.finished()).await.expect("no wake-up is lost").unwrap();
    let mut seen = std::mem::take(&mut *seen.lock());
    seen.sort_unstable();
    assert_eq!(seen, (0..TASKS * ITEMS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_item_of_a_producer_is_worked_at_exactly_once() {
    for demand in [Demand::max(1), Demand::max(4), Demand::max(100).min(99), Demand::max(1000)] {
        for workers in [true, false] {
            for _ in 0..5 {
                made(demand, workers).await;
            }
        }
    }
}
