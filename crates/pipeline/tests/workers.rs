//! The contract of workers.

use bennu_pipeline::{Demand, DrainError, HandlerError, Pipeline, Queue, from_iter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

async fn all<T>(mut items: UnboundedReceiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(item) = items.recv().await {
        all.push(item);
    }
    all
}

async fn queue_of(pipeline: &mut Pipeline, items: u32) -> Queue<u32> {
    let queue = pipeline.queue("items").start().unwrap();
    for item in 0..items {
        queue.push(item).await.unwrap();
    }
    queue
}

#[tokio::test(start_paused = true)]
async fn at_most_max_demand_items_are_worked_at_at_once() {
    for (max, min) in [(1, 0), (2, 1), (10, 5), (10, 0), (10, 9), (33, 7)] {
        let mut pipeline = Pipeline::new();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = {
            let most = most.clone();
            move |item: u64| {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    sleep(Duration::from_millis(item * 37 % 101)).await;
                    now.fetch_sub(1, Ordering::Relaxed);
                }
            }
        };
        let items = pipeline.producer("items").start(from_iter(0..200)).unwrap();
        pipeline.workers("work").subscribe(&items, Demand::max(max).min(min)).start(work).unwrap();
        pipeline.finished().await.unwrap();
        assert_eq!(most.load(Ordering::Relaxed), max, "{max}, {min}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_worker_keeps_the_order() {
    let mut pipeline = Pipeline::new();
    let (report, reports) = unbounded_channel();
    let queue = queue_of(&mut pipeline, 50).await;
    let work = move |item: u32| {
        let report = report.clone();
        async move {
            sleep(SECOND / (item % 3 + 1)).await;
            report.send(item).unwrap();
        }
    };
    pipeline.workers("one").subscribe(&queue, Demand::max(1)).start(work).unwrap();
    pipeline.drain(SECOND * 60).await.unwrap();
    assert_eq!(all(reports).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_or_fails_affects_no_other() {
    let mut pipeline = Pipeline::new();
    let (report, reports) = unbounded_channel();
    let queue = queue_of(&mut pipeline, 30).await;
    let work = move |item: u32| {
        let report = report.clone();
        async move {
            match item % 3 {
                0 => panic!("{item} is too much"),
                1 => Err(HandlerError::new("no")),
                _ => Ok(report.send(item)?),
            }
        }
    };
    pipeline.workers("mixed").subscribe(&queue, Demand::max(4)).start(work).unwrap();
    pipeline.drain(SECOND).await.unwrap();
    assert_eq!(all(reports).await, (0..30).filter(|item| item % 3 == 2).collect::<Vec<_>>());
}

/// Counts the attempts at one item, of which the first `failures` fail.
async fn attempts(transient: Option<usize>, failures: usize) -> (usize, bool) {
    let mut pipeline = Pipeline::new();
    let (report, reports) = unbounded_channel();
    let tries = Arc::new(AtomicUsize::new(0));
    let work = {
        let tries = tries.clone();
        move |item: u32| {
            let attempt = tries.fetch_add(1, Ordering::Relaxed);
            let report = report.clone();
            async move {
                assert!(attempt >= failures, "not yet");
                report.send(item).unwrap();
            }
        }
    };
    let queue = queue_of(&mut pipeline, 1).await;
    let workers = pipeline.workers("try").subscribe(&queue, Demand::max(1));
    match transient {
        Some(max_restarts) => workers.transient(max_restarts).start(work).unwrap(),
        None => workers.start(work).unwrap(),
    }
    pipeline.drain(SECOND).await.unwrap();
    let done = all(reports).await == [0];
    (tries.load(Ordering::Relaxed), done)
}

#[tokio::test(start_paused = true)]
async fn a_temporary_item_is_tried_once() {
    assert_eq!(attempts(None, 1).await, (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_transient_item_is_tried_again_until_it_is_done() {
    assert_eq!(attempts(Some(3), 2).await, (3, true));
}

#[tokio::test(start_paused = true)]
async fn a_transient_item_is_lost_after_max_restarts() {
    assert_eq!(attempts(Some(3), 99).await, (4, false));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_workers_and_aborts_them_at_its_deadline() {
    struct Dropped(tokio::sync::mpsc::UnboundedSender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    for (deadline, in_time) in [(SECOND * 5, true), (SECOND * 2, false)] {
        let mut pipeline = Pipeline::new();
        let (report, reports) = unbounded_channel();
        let work = move |_item: u32| {
            let dropped = Dropped(report.clone());
            async move {
                sleep(SECOND * 3).await;
                dropped.0.send("done").unwrap();
            }
        };
        let queue = queue_of(&mut pipeline, 1).await;
        pipeline.workers("slow").subscribe(&queue, Demand::max(1)).start(work).unwrap();
        let start = Instant::now();
        let drained = pipeline.drain(deadline).await;
        if in_time {
            assert_eq!((drained, start.elapsed()), (Ok(()), SECOND * 3));
            assert_eq!(all(reports).await, ["done", "dropped"]);
        } else {
            assert_eq!(drained, Err(DrainError::Deadline { deadline, stages: vec!["slow"] }));
            assert_eq!(all(reports).await, ["dropped"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workers_of_several_stages_share_a_producer() {
    let mut pipeline = Pipeline::new();
    let (report, reports) = unbounded_channel();
    let items = pipeline.producer("items").start(from_iter(0..100)).unwrap();
    for name in ["left", "right"] {
        let report = report.clone();
        let work = move |item: u32| {
            let report = report.clone();
            async move {
                sleep(SECOND).await;
                report.send((item, name)).unwrap();
            }
        };
        pipeline.workers(name).subscribe(&items, Demand::max(10)).start(work).unwrap();
    }
    drop(report);
    let start = Instant::now();
    pipeline.finished().await.unwrap();
    assert_eq!(start.elapsed(), SECOND * 5);
    let mut items: Vec<u32> = all(reports).await.into_iter().map(|(item, _)| item).collect();
    items.sort_unstable();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn items_that_wait_delay_no_items_after_quick_ones() {
    for draining in [true, false] {
        let mut pipeline = Pipeline::new();
        let queue = queue_of(&mut pipeline, 100).await;
        let (report, reports) = unbounded_channel();
        let work = move |item: u32| {
            let report = report.clone();
            async move {
                // The first are done at once.
                if item >= 40 {
                    sleep(SECOND).await;
                }
                report.send(item).unwrap();
            }
        };
        pipeline.workers("work").subscribe(&queue, Demand::max(200)).start(work).unwrap();
        let start = Instant::now();
        if draining {
            pipeline.drain(SECOND * 100).await.unwrap();
        } else {
            sleep(SECOND + SECOND / 2).await;
            drop(pipeline);
        }
        assert!(start.elapsed() < SECOND * 2, "it took {:?}", start.elapsed());
        assert_eq!(all(reports).await.len(), 100);
    }
}
