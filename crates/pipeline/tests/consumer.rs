//! The contracts of consumers, producers and producer-consumers.

use bennu_pipeline::{
    Buffer, Consumer, Demand, DrainError, HandlerError, HandlerResult, Pipeline, Producer, ProducerConsumer,
    StageFailed, from_iter, handled,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Report<T>(UnboundedSender<Vec<T>>);

impl<T: Send + 'static> Consumer<T> for Report<T> {
    async fn handle_events(&mut self, items: Vec<T>) -> HandlerResult {
        self.0.send(items)?;
        handled()
    }
}

fn report<T>() -> (Report<T>, UnboundedReceiver<Vec<T>>) {
    let (send, receive) = unbounded_channel();
    (Report(send), receive)
}

async fn all<T>(mut batches: UnboundedReceiver<Vec<T>>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    while let Some(batch) = batches.recv().await {
        all.push(batch);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn batches_have_at_most_max_demand_minus_min_demand_items_in_order() {
    let mut pipeline = Pipeline::new();
    let (consumer, batches) = report();
    let numbers = pipeline.producer("numbers").start(from_iter(0..100)).unwrap();
    pipeline.consumer("report").subscribe(&numbers, Demand::max(10).min(3)).start(consumer).unwrap();
    pipeline.finished().await.unwrap();
    let batches = all(batches).await;
    assert!(batches.iter().all(|batch| batch.len() <= 7), "{batches:?}");
    assert_eq!(batches.concat(), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_producer_receives_demand_for_max_demand_and_then_for_the_finished_items() {
    let (report, mut demands) = unbounded_channel();
    let producer = move |demand: usize| {
        report.send(demand).unwrap();
        async move { vec![(); demand] }
    };
    let mut pipeline = Pipeline::new();
    let items = pipeline.producer("items").start(producer).unwrap();
    let slow = |_items: Vec<()>| sleep(SECOND);
    pipeline.consumer("slow").subscribe(&items, Demand::max(10).min(6)).start(slow).unwrap();
    assert_eq!(demands.recv().await, Some(10));
    for _ in 0..5 {
        assert_eq!(demands.recv().await, Some(4));
    }
}

#[tokio::test(start_paused = true)]
async fn items_beyond_demand_are_buffered_and_past_the_buffer_returned_to_the_producer() {
    #[derive(Clone)]
    struct Eager(UnboundedSender<Vec<u32>>, bool);
    impl Producer<u32> for Eager {
        async fn handle_demand(&mut self, _demand: usize) -> Result<Vec<u32>, HandlerError> {
            Ok(if std::mem::replace(&mut self.1, true) { vec![] } else { (0..10).collect() })
        }
        fn dropped(&mut self, items: Vec<u32>) {
            self.0.send(items).unwrap();
        }
    }
    let (report_dropped, mut dropped) = unbounded_channel();
    let (consumer, batches) = report();
    let mut pipeline = Pipeline::new();
    let items = pipeline.producer("eager").buffer(Buffer::keep_first(5)).start(Eager(report_dropped, false)).unwrap();
    pipeline.consumer("report").subscribe(&items, Demand::max(2)).start(consumer).unwrap();
    pipeline.finished().await.unwrap();
    assert_eq!(dropped.recv().await, Some(vec![7, 8, 9]));
    assert_eq!(all(batches).await.concat(), (0..7).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_producer_consumer_takes_no_items_before_a_subscriber_requests_them() {
    #[derive(Clone)]
    struct Twice(Arc<AtomicUsize>);
    impl ProducerConsumer<u32, u32> for Twice {
        async fn handle_events(&mut self, items: Vec<u32>) -> Result<Vec<u32>, HandlerError> {
            self.0.fetch_add(items.len(), Ordering::Relaxed);
            Ok(items.into_iter().flat_map(|item| [item, item]).collect())
        }
    }
    let taken = Arc::new(AtomicUsize::new(0));
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.producer("numbers").start(from_iter(0..100)).unwrap();
    let twice = pipeline.producer_consumer("twice").subscribe(&numbers, Demand::max(100).min(0));
    let twice = twice.start(Twice(taken.clone())).unwrap();
    sleep(SECOND).await;
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    let (consumer, batches) = report();
    let stuck = |_items: Vec<u32>| std::future::pending::<()>();
    pipeline.consumer("stuck").subscribe(&twice, Demand::max(4)).start(stuck).unwrap();
    sleep(SECOND).await;
    // Four were requested: two in progress, two in the consumer's inbox, and four more are buffered.
    assert_eq!((taken.load(Ordering::Relaxed), twice.queued()), (4, 4));
    pipeline.consumer("report").subscribe(&twice, Demand::max(50)).start(consumer).unwrap();
    sleep(SECOND).await;
    let rest = (2..100).flat_map(|item| [item, item]).collect::<Vec<_>>();
    let error = pipeline.drain(SECOND).await.unwrap_err();
    assert_eq!(all(batches).await.concat(), rest);
    assert_eq!(error, DrainError::Deadline { deadline: SECOND, stages: vec!["stuck"] });
}

#[tokio::test(start_paused = true)]
async fn a_stage_may_have_several_subscriptions() {
    let mut pipeline = Pipeline::new();
    let (consumer, batches) = report();
    let low = pipeline.producer("low").start(from_iter(0..20)).unwrap();
    let high = pipeline.producer("high").start(from_iter(100..120)).unwrap();
    let both = pipeline.consumer("both").subscribe(&low, Demand::max(4)).subscribe(&high, Demand::max(4));
    both.start(consumer).unwrap();
    pipeline.finished().await.unwrap();
    let items = all(batches).await.concat();
    let (low, high): (Vec<i32>, Vec<i32>) = items.iter().partition(|item| **item < 100);
    assert_eq!((low, high), ((0..20).collect(), (100..120).collect()));
    assert!(items[..20].iter().any(|item| *item >= 100), "neither subscription waits for the other: {items:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_all_subscribers_at_the_pace_of_the_slowest() {
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.queue("numbers").broadcast().start().unwrap();
    let (quick, mut quick_batches) = report();
    pipeline.consumer("quick").subscribe(&numbers, Demand::max(2)).start(quick).unwrap();
    let (report_slow, mut slow_items) = unbounded_channel();
    let slow = move |item: u32| {
        let report_slow = report_slow.clone();
        async move {
            sleep(SECOND).await;
            report_slow.send(item).unwrap();
        }
    };
    pipeline.workers("slow").subscribe(&numbers, Demand::max(2).min(1)).start(slow).unwrap();
    for item in 0..6 {
        numbers.push(item).await.unwrap();
    }
    sleep(SECOND / 2).await;
    assert_eq!(numbers.queued(), 4);
    pipeline.drain(SECOND * 10).await.unwrap();
    for item in 0..6 {
        assert_eq!(quick_batches.recv().await, Some(vec![item]));
        assert!(slow_items.recv().await.is_some_and(|slow| slow < 6));
    }
    assert_eq!((quick_batches.recv().await, slow_items.recv().await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn each_partition_gets_its_items_in_order_and_no_others() {
    let mut pipeline = Pipeline::new();
    let numbers = pipeline.producer("numbers").partition(3, |n: &u64| *n).start(from_iter(0..60)).unwrap();
    let mut reports = Vec::new();
    for partition in 0..3 {
        let (consumer, batches) = report();
        let stage = pipeline.consumer("part").subscribe(&numbers.partition(partition), Demand::max(4));
        stage.start(consumer).unwrap();
        reports.push(batches);
    }
    pipeline.finished().await.unwrap();
    for (partition, batches) in reports.into_iter().enumerate() {
        let expected: Vec<u64> = (0..60).filter(|n| n % 3 == partition as u64).collect();
        assert_eq!(all(batches).await.concat(), expected);
    }
}

/// Crashes at some items.
#[derive(Clone)]
struct Fragile {
    report: Report<u32>,
    crashes: fn(u32) -> bool,
    batches: usize,
}

impl Consumer<u32> for Fragile {
    async fn handle_events(&mut self, items: Vec<u32>) -> HandlerResult {
        self.batches += 1;
        if items.iter().any(|item| (self.crashes)(*item)) {
            panic!("a bad item in batch {}", self.batches);
        }
        self.report.handle_events(items).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_crashes_loses_its_batch_and_restarts() {
    let mut pipeline = Pipeline::new();
    let (report, batches) = report();
    let numbers = pipeline.producer("numbers").start(from_iter(0..20)).unwrap();
    let fragile = Fragile { report, crashes: |item| item == 6, batches: 0 };
    pipeline.consumer("fragile").subscribe(&numbers, Demand::max(4)).start(fragile).unwrap();
    pipeline.finished().await.unwrap();
    let kept = all(batches).await.concat();
    assert_eq!(kept, (0..20).filter(|item| *item / 2 != 3).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_crashes_too_often_ends_and_leaves_its_items_to_others() {
    let mut pipeline = Pipeline::new();
    let (report, batches) = report();
    let numbers = pipeline.queue("numbers").start().unwrap();
    let fragile = Fragile { report: report.clone(), crashes: |_| true, batches: 0 };
    let stage = pipeline.consumer("fragile").max_restarts(2, SECOND).subscribe(&numbers, Demand::max(10).min(9));
    stage.start(fragile).unwrap();
    for item in 0..10 {
        numbers.push(item).await.unwrap();
    }
    let failed = pipeline.finished().await.unwrap_err();
    let why = "panicked: a bad item in batch 1".to_owned();
    assert_eq!(failed, StageFailed { stage: "fragile", why });
    pipeline.consumer("sound").subscribe(&numbers, Demand::max(10)).start(report).unwrap();
    drop(numbers);
    pipeline.finished().await.unwrap();
    // Three batches of one were lost.
    assert_eq!(all(batches).await.concat(), (3..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_crashes_restarts_and_after_too_many_crashes_the_stages_behind_it_end() {
    let mut pipeline = Pipeline::new();
    let (report, batches) = report();
    let tries = Arc::new(AtomicUsize::new(0));
    let producer = {
        let tries = tries.clone();
        move |_demand: usize| {
            let attempt = tries.fetch_add(1, Ordering::Relaxed);
            async move {
                if attempt.is_multiple_of(2) { Ok(vec![attempt]) } else { Err(HandlerError::new("nothing today")) }
            }
        }
    };
    let items = pipeline.producer("moody").start(producer).unwrap();
    pipeline.consumer("report").subscribe(&items, Demand::max(1)).start(report).unwrap();
    let failed = pipeline.finished().await.unwrap_err();
    assert_eq!(failed, StageFailed { stage: "moody", why: "nothing today".to_owned() });
    pipeline.finished().await.unwrap();
    assert_eq!(all(batches).await, [[0], [2], [4], [6]]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_delivers_the_items_in_flight_and_calls_no_producer() {
    let mut pipeline = Pipeline::new();
    let (report, batches) = report();
    let numbers = pipeline.producer("numbers").start(from_iter(0..)).unwrap();
    let slowly = |items: Vec<u32>| async move {
        sleep(SECOND).await;
        items
    };
    let slow = pipeline.producer_consumer("slow").subscribe(&numbers, Demand::max(8)).start(slowly).unwrap();
    pipeline.consumer("report").subscribe(&slow, Demand::max(8)).start(report).unwrap();
    sleep(SECOND * 3).await;
    pipeline.drain(SECOND * 10).await.unwrap();
    let items = all(batches).await.concat();
    assert!(items.len() > 12 && items.len() <= 24, "{} items", items.len());
    assert_eq!(items, (0..items.len() as u32).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_producer_without_items() {
    let mut pipeline = Pipeline::new();
    let waits = |_demand: usize| std::future::pending::<Vec<u32>>();
    let items = pipeline.producer("waits").start(waits).unwrap();
    let (report, _batches) = report();
    pipeline.consumer("report").subscribe(&items, Demand::default()).start(report).unwrap();
    sleep(SECOND).await;
    pipeline.drain(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_dropped_ends_its_tasks() {
    let mut pipeline = Pipeline::new();
    let (report, mut batches) = report();
    let numbers = pipeline.queue("numbers").start().unwrap();
    pipeline.consumer("report").subscribe(&numbers, Demand::default()).start(report).unwrap();
    numbers.push(1).await.unwrap();
    assert_eq!(batches.recv().await, Some(vec![1]));
    drop(pipeline);
    assert_eq!(batches.recv().await, None);
}
