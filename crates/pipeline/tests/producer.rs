//! The task of a producer: one of its own, on the runtime that it was started on. Stages that never wait yield to other tasks.

use bennu_pipeline::{Buffer, Consumer, Demand, HandlerResult, Pipeline, StageFailed, handled};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::task::{id as task, yield_now};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Enough that a stage without a yield would finish all of them before another task runs.
const ITEMS: usize = 10_000;

/// The notes of a producer's or a consumer's calls.
type Log<T> = Arc<Mutex<Vec<T>>>;

/// Returns a producer of `calls` batches, each of as many items as demanded. It logs a note at each call.
fn counted<T: Send + 'static>(
    calls: usize,
    log: &Log<T>,
    note: fn() -> T,
) -> impl Fn(usize) -> std::future::Ready<Vec<usize>> + Clone + Send + Sync + 'static {
    let (call, log) = (Arc::new(AtomicUsize::new(0)), log.clone());
    move |demand| {
        log.lock().push(note());
        let go_on = call.fetch_add(1, Ordering::Relaxed) < calls;
        std::future::ready(if go_on { (0..demand).collect() } else { Vec::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_makes_all_its_items_in_one_task_of_its_own() {
    for workers in [true, false] {
        let mut pipeline = Pipeline::new();
        let (calls, works) = (Log::default(), Log::default());
        let items = pipeline.producer("items").start(counted(9, &calls, task)).unwrap();
        let noted = works.clone();
        if workers {
            let work = move |_item: usize| {
                noted.lock().push(task());
                std::future::ready(())
            };
            pipeline.workers("work").subscribe(&items, Demand::max(10)).start(work).unwrap();
        } else {
            let work = move |_items: Vec<usize>| {
                noted.lock().push(task());
                std::future::ready(())
            };
            pipeline.consumer("work").subscribe(&items, Demand::max(10)).start(work).unwrap();
        }
        pipeline.finished().await.unwrap();
        let works: HashSet<_> = works.lock().iter().copied().collect();
        let makers: HashSet<_> = calls.lock().iter().copied().collect();
        assert_eq!((calls.lock().len(), makers.len()), (10, 1));
        assert!(makers.is_disjoint(&works));
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_waits_goes_on_in_its_own_task() {
    let mut pipeline = Pipeline::new();
    let after = Arc::new(Mutex::new(HashSet::new()));
    let (tasks, worked) = (after.clone(), Arc::new(Mutex::new(HashSet::new())));
    let slow = move |demand: usize| {
        let tasks = tasks.clone();
        async move {
            sleep(SECOND).await;
            let mut tasks = tasks.lock();
            tasks.insert(task());
            vec![(); demand]
        }
    };
    let items = pipeline.producer("slow").start(slow).unwrap();
    let noted = worked.clone();
    let work = move |_items: Vec<()>| {
        noted.lock().insert(task());
        std::future::ready(())
    };
    pipeline.consumer("work").subscribe(&items, Demand::max(2)).start(work).unwrap();
    sleep(SECOND * 10).await;
    pipeline.drain(SECOND).await.unwrap();
    assert_eq!((after.lock().len(), worked.lock().len()), (1, 1));
    assert!(after.lock().is_disjoint(&worked.lock()));
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_panics_crashes_its_own_stage_and_no_subscriber() {
    /// Counts items. It would begin at 0 after a restart.
    #[derive(Clone)]
    struct Counts(usize, Log<usize>);

    impl Consumer<usize> for Counts {
        async fn handle_events(&mut self, items: Vec<usize>) -> HandlerResult {
            self.0 += items.len();
            self.1.lock().push(self.0);
            handled()
        }
    }

    let mut pipeline = Pipeline::new();
    let (calls, counts) = (Log::default(), Log::default());
    let call = Arc::new(AtomicUsize::new(0));
    let noted = calls.clone();
    let moody = move |demand: usize| {
        noted.lock().push(task());
        let call = call.fetch_add(1, Ordering::Relaxed);
        assert!(call == 0 || call % 2 == 1, "an even call");
        std::future::ready(vec![call; demand.min(1)])
    };
    let items = pipeline.producer("moody").start(moody).unwrap();
    pipeline.consumer("counts").subscribe(&items, Demand::max(1)).start(Counts(0, counts.clone())).unwrap();
    let failed = pipeline.finished().await.unwrap_err();
    assert_eq!(failed, StageFailed { stage: "moody", why: "panicked: an even call".to_owned() });
    pipeline.finished().await.unwrap();
    assert_eq!(*counts.lock(), [1, 2, 3, 4, 5]);
    let tasks: HashSet<_> = calls.lock().iter().copied().collect();
    assert_eq!(tasks.len(), 1, "the stage's own task");
}

#[test]
fn a_producer_stays_on_the_runtime_that_it_was_started_on() {
    let [here, there] = [(), ()].map(|()| Builder::new_multi_thread().worker_threads(1).build().unwrap());
    let mut pipeline = Pipeline::new();
    let runtimes = Log::default();
    let items = {
        let _here = here.enter();
        pipeline.producer("items").start(counted(9, &runtimes, || Handle::current().id())).unwrap()
    };
    {
        let _there = there.enter();
        let work = |_items: Vec<usize>| std::future::ready(());
        pipeline.consumer("work").subscribe(&items, Demand::max(10)).start(work).unwrap();
    }
    here.block_on(pipeline.finished()).unwrap();
    assert_eq!(*runtimes.lock(), [here.handle().id(); 10]);
}

#[tokio::test]
async fn a_producer_that_never_waits_lets_other_tasks_of_its_thread_run() {
    let mut pipeline = Pipeline::new();
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let one = move |_demand: usize| {
        let more = count.fetch_add(1, Ordering::Relaxed) < ITEMS;
        std::future::ready(if more { vec![()] } else { Vec::new() })
    };
    let items = pipeline.producer("items").start(one).unwrap();
    let idle = |_items: Vec<()>| std::future::ready(());
    pipeline.consumer("idle").subscribe(&items, Demand::max(ITEMS)).start(idle).unwrap();
    while made.load(Ordering::Relaxed) == 0 {
        yield_now().await;
    }
    assert!(made.load(Ordering::Relaxed) < ITEMS / 2);
    pipeline.finished().await.unwrap();
}

#[tokio::test]
async fn a_consumer_and_a_producer_consumer_that_never_wait_let_other_tasks_of_their_thread_run() {
    for between in [false, true] {
        let mut pipeline = Pipeline::new();
        let queue = pipeline.queue("items").buffer(Buffer::keep_first(ITEMS)).start().unwrap();
        queue.push_all(vec![(); ITEMS]).await.unwrap();
        let handled = Arc::new(AtomicUsize::new(0));
        let count = handled.clone();
        let handle = move |items: Vec<()>| {
            count.fetch_add(items.len(), Ordering::Relaxed);
            std::future::ready(items)
        };
        if between {
            let stage = pipeline.producer_consumer("handle").subscribe(&queue, Demand::max(1));
            let output = stage.start(handle).unwrap();
            let idle = |_items: Vec<()>| std::future::ready(());
            pipeline.consumer("idle").subscribe(&output, Demand::max(ITEMS)).start(idle).unwrap();
        } else {
            let handle = move |items| {
                drop(handle(items));
                std::future::ready(())
            };
            pipeline.consumer("handle").subscribe(&queue, Demand::max(1)).start(handle).unwrap();
        }
        while handled.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        assert!(handled.load(Ordering::Relaxed) < ITEMS / 2);
        drop(queue);
        pipeline.finished().await.unwrap();
        assert_eq!(handled.load(Ordering::Relaxed), ITEMS);
    }
}
