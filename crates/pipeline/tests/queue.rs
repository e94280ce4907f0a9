//! The contract of a queue.

use bennu_pipeline::{Buffer, Demand, Pipeline, Queue, QueueClosed, TryPushError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Starts a queue without subscribers.
fn queue_of(pipeline: &mut Pipeline, buffer: Buffer) -> Queue<u32> {
    pipeline.queue("queue").buffer(buffer).start().expect("it can start")
}

/// Takes one item a second and reports it with the time since the start.
fn take_one_a_second(pipeline: &mut Pipeline, queue: &Queue<u32>) -> mpsc::UnboundedReceiver<(u32, Duration)> {
    let (report, reports) = mpsc::unbounded_channel();
    let start = Instant::now();
    let take = move |item: u32| {
        let report = report.clone();
        async move {
            sleep(SECOND).await;
            report.send((item, start.elapsed())).expect("the receiver is open");
        }
    };
    pipeline.workers("take").subscribe(queue, Demand::max(1)).start(take).expect("it can start");
    reports
}

#[tokio::test(start_paused = true)]
async fn a_push_waits_while_the_buffer_is_full() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(2));
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    let start = Instant::now();
    let mut waited = Vec::new();
    for item in 0..6 {
        queue.push(item).await.unwrap();
        waited.push(start.elapsed().as_secs());
    }
    // One is requested, two are buffered; from then on one a second.
    assert_eq!(waited, [0, 0, 0, 1, 2, 3]);
    pipeline.drain(SECOND * 10).await.unwrap();
    for item in 0..6 {
        assert_eq!(taken.recv().await.unwrap(), (item, SECOND * (item + 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_of_many_tasks_all_complete_with_a_buffer_of_one() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(1));
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    let pushes = (0..20).map(|item| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.push(item).await.unwrap() })
    });
    futures::future::join_all(pushes).await;
    pipeline.drain(SECOND * 30).await.unwrap();
    let mut items = Vec::new();
    while let Some((item, _)) = taken.recv().await {
        items.push(item);
    }
    items.sort_unstable();
    assert_eq!(items, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_push_leaves_its_turn_to_the_next() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(1));
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    queue.push(0).await.unwrap();
    queue.push(1).await.unwrap();
    let cancelled = tokio::time::timeout(SECOND / 2, queue.push(2));
    let next = queue.push(3);
    let (cancelled, next) = tokio::join!(cancelled, next);
    assert!(cancelled.is_err() && next.is_ok());
    pipeline.drain(SECOND * 10).await.unwrap();
    let mut items = Vec::new();
    while let Some((item, _)) = taken.recv().await {
        items.push(item);
    }
    assert_eq!(items, [0, 1, 3]);
}

#[tokio::test(start_paused = true)]
async fn without_a_buffer_a_push_waits_for_a_request() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(0));
    assert!(matches!(queue.try_push(0), Err(TryPushError::Full(0))));
    let _taken = take_one_a_second(&mut pipeline, &queue);
    let start = Instant::now();
    for item in 0..3 {
        queue.push(item).await.unwrap();
        assert_eq!(start.elapsed(), SECOND * item);
    }
}

#[tokio::test]
async fn a_try_push_returns_the_item_when_there_is_no_room() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_first(1));
    queue.try_push(1).unwrap();
    assert!(matches!(queue.try_push(2), Err(TryPushError::Full(2))));
    assert_eq!(queue.queued(), 1);
}

#[tokio::test]
async fn a_forced_push_returns_the_dropped_item() {
    let mut pipeline = Pipeline::new();
    let last = queue_of(&mut pipeline, Buffer::keep_last(2));
    let dropped: Vec<_> = (0..4).map(|item| last.force_push(item).unwrap()).collect();
    assert_eq!(dropped, [None, None, Some(0), Some(1)]);
    let first = queue_of(&mut pipeline, Buffer::keep_first(2));
    let dropped: Vec<_> = (0..4).map(|item| first.force_push(item).unwrap()).collect();
    assert_eq!(dropped, [None, None, Some(2), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_rejects_pushes_and_those_that_wait() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(1));
    queue.push(0).await.unwrap();
    let push = |item| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.push(item).await })
    };
    let (first, second) = (push(1), push(10));
    let rest = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.push_all(vec![11, 12]).await })
    };
    tokio::task::yield_now().await;
    pipeline.drain(SECOND).await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(QueueClosed(1))));
    assert!(matches!(second.await.unwrap(), Err(QueueClosed(10))));
    assert!(matches!(rest.await.unwrap(), Err(QueueClosed(items)) if items == [11, 12]));
    assert!(queue.is_closed());
    assert!(matches!(queue.push(2).await, Err(QueueClosed(2))));
    assert!(matches!(queue.try_push(3), Err(TryPushError::Closed(3))));
    assert!(matches!(queue.force_push(4), Err(QueueClosed(4))));
}

#[tokio::test(start_paused = true)]
async fn when_the_last_handle_is_dropped_the_pushed_items_are_delivered_and_the_pipeline_ends() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::default());
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    let other = queue.clone();
    queue.push(1).await.unwrap();
    drop(queue);
    other.push(2).await.unwrap();
    drop(other);
    pipeline.finished().await.unwrap();
    assert_eq!(taken.recv().await.unwrap().0, 1);
    assert_eq!(taken.recv().await.unwrap().0, 2);
    assert!(taken.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_push_of_many_continues_when_there_is_room_and_keeps_their_order() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(2));
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    let start = Instant::now();
    queue.push_all((0..3).collect()).await.unwrap();
    assert_eq!((start.elapsed(), queue.queued()), (Duration::ZERO, 2));
    queue.push_all((3..6).collect()).await.unwrap();
    assert_eq!((start.elapsed(), queue.queued()), (SECOND * 3, 2));
    queue.push_all(Vec::new()).await.unwrap();
    pipeline.drain(SECOND * 10).await.unwrap();
    for item in 0..6 {
        assert_eq!(taken.recv().await.unwrap(), (item, SECOND * (item + 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_of_many_by_many_tasks_all_complete() {
    for buffer in [0, 1, 5] {
        let mut pipeline = Pipeline::new();
        let queue = queue_of(&mut pipeline, Buffer::keep_last(buffer));
        let mut taken = take_one_a_second(&mut pipeline, &queue);
        let pushes = (0..10).map(|task| {
            let queue = queue.clone();
            tokio::spawn(async move {
                match task % 2 {
                    0 => queue.push_all((task * 4..task * 4 + 4).collect()).await.unwrap(),
                    _ => queue.push(task * 4).await.unwrap(),
                }
            })
        });
        for push in futures::future::join_all(pushes).await {
            push.unwrap();
        }
        pipeline.drain(SECOND * 60).await.unwrap();
        let mut items = Vec::new();
        while let Some((item, _)) = taken.recv().await {
            items.push(item);
        }
        items.sort_unstable();
        let pushed: Vec<u32> = (0..10).flat_map(|n| n * 4..n * 4 + if n % 2 == 0 { 4 } else { 1 }).collect();
        assert_eq!(items, pushed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_of_many_returns_the_items_that_a_drain_rejects() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(2));
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.push_all((0..5).collect()).await }
    });
    tokio::task::yield_now().await;
    pipeline.drain(SECOND).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Err(QueueClosed(vec![2, 3, 4])));
    assert_eq!(queue.push_all(vec![5]).await, Err(QueueClosed(vec![5])));
    assert_eq!(queue.queued(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_push_of_many_waits_for_half_of_the_buffer_and_others_take_their_turn() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(10));
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    let start = Instant::now();
    let many = async {
        queue.push_all((0..20).collect()).await.unwrap();
        start.elapsed()
    };
    let one = async {
        queue.push(20).await.unwrap();
        start.elapsed()
    };
    // One is requested, ten are buffered. Five more follow together, then the push that has waited since, then the last four.
    assert_eq!(tokio::join!(many, one), (SECOND * 10, SECOND * 6));
    pipeline.drain(SECOND * 30).await.unwrap();
    for item in (0..16).chain([20]).chain(16..20) {
        assert_eq!(taken.recv().await.unwrap().0, item);
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_that_wait_are_served_in_the_order_in_which_they_came() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(1));
    queue.push(0).await.unwrap();
    let mut pushes = Vec::new();
    for item in 1..6 {
        let queue = queue.clone();
        pushes.push(tokio::spawn(async move {
            match item % 2 {
                0 => queue.push_all(vec![item]).await.unwrap(),
                _ => queue.push(item).await.unwrap(),
            }
        }));
        tokio::task::yield_now().await;
    }
    let mut taken = take_one_a_second(&mut pipeline, &queue);
    for push in pushes {
        push.await.unwrap();
    }
    pipeline.drain(SECOND * 10).await.unwrap();
    for item in 0..6 {
        assert_eq!(taken.recv().await.unwrap().0, item);
    }
}

#[tokio::test]
async fn a_push_that_is_dropped_when_it_could_go_on_leaves_the_room_to_the_next() {
    let mut pipeline = Pipeline::new();
    let queue = queue_of(&mut pipeline, Buffer::keep_last(1));
    queue.push(0).await.unwrap();
    let ((first_waker, first_wakes), (next_waker, next_wakes)) = (counted_waker(), counted_waker());
    let mut first = Box::pin(queue.push(1));
    let mut next = Box::pin(queue.push(2));
    assert!(first.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(next.as_mut().poll(&mut Context::from_waker(&next_waker)).is_pending());
    let stuck = |_item: u32| std::future::pending::<()>();
    pipeline.workers("stuck").subscribe(&queue, Demand::max(1)).start(stuck).unwrap();
    assert_eq!([&first_wakes, &next_wakes].map(|wakes| wakes.0.load(Ordering::Relaxed)), [1, 0]);
    drop(first);
    assert_eq!(next_wakes.0.load(Ordering::Relaxed), 1);
    next.await.unwrap();
    assert!(matches!(queue.try_push(3), Err(TryPushError::Full(3))));
}

#[tokio::test]
async fn a_push_into_a_full_partition_is_not_woken_while_another_has_room() {
    let mut pipeline = Pipeline::new();
    let queue = pipeline.queue("parted").buffer(Buffer::keep_last(1)).partition(2, |item: &u32| u64::from(*item));
    let queue = queue.start().unwrap();
    let idle = |_item: u32| async {};
    pipeline.workers("odd").subscribe(&queue.partition(1), Demand::max(10)).start(idle).unwrap();
    queue.push(0).await.unwrap();
    let (waker, wakes) = counted_waker();
    let mut push = std::pin::pin!(queue.push(2));
    assert!(push.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    pipeline.workers("even").subscribe(&queue.partition(0), Demand::max(10)).start(idle).unwrap();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    push.await.unwrap();
}

/// Counts how often a task is woken.
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted_waker() -> (Waker, Arc<Wakes>) {
    let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
    (wakes.clone().into(), wakes)
}
