//! Laws of whole pipelines in virtual time. For all demands, batches, chains and delays each item arrives once, and no
//! subscriber has more items in flight than it has requested.

use bennu_pipeline::{Buffer, Demand, Output, Pipeline, from_iter, hash};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Items of a run.
const ITEMS: u64 = 300;

#[derive(Debug, Clone)]
struct Link {
    demand: Demand,
    millis: u64,
}

#[derive(Debug, Clone)]
struct Sink {
    demand: Demand,
    millis: u64,
    workers: bool,
    /// It crashes at the multiples of this number.
    crash_each: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Dispatch {
    Demand,
    Broadcast,
    Partition,
}

fn demand() -> impl Strategy<Value = Demand> {
    (1_usize..40).prop_flat_map(|max| (0..max).prop_map(move |min| Demand::max(max).min(min)))
}

fn link() -> impl Strategy<Value = Link> {
    (demand(), 0_u64..20).prop_map(|(demand, millis)| Link { demand, millis })
}

fn sink() -> impl Strategy<Value = Sink> {
    (demand(), 0_u64..20, any::<bool>()).prop_map(|(demand, millis, workers)| Sink {
        demand,
        millis,
        workers,
        crash_each: None,
    })
}

/// The items of one sink.
#[derive(Default)]
struct Seen {
    items: Vec<u64>,
    now: usize,
    most: usize,
    largest_batch: usize,
    lost: Vec<u64>,
}

impl Seen {
    fn enter(&mut self, count: usize) {
        self.now += count;
        self.most = self.most.max(self.now);
        self.largest_batch = self.largest_batch.max(count);
    }

    fn leave(&mut self, items: &[u64]) {
        self.now -= items.len();
        self.items.extend(items);
    }
}

fn attach(pipeline: &mut Pipeline, output: &Output<u64>, sink: &Sink) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = seen.clone();
    let Sink { demand, millis, workers, crash_each } = sink.clone();
    let work = move |items: Vec<u64>| {
        let seen = shared.clone();
        async move {
            seen.lock().enter(items.len());
            tokio::time::sleep(Duration::from_millis(items[0] * 7 % (millis + 1))).await;
            if crash_each.is_some_and(|each| items.iter().any(|item| item % each == 0)) {
                let mut seen = seen.lock();
                seen.now -= items.len();
                seen.lost.extend(&items);
                drop(seen);
                panic!("a multiple");
            }
            seen.lock().leave(&items);
        }
    };
    if workers {
        let work = move |item: u64| work(vec![item]);
        pipeline.workers("sink").subscribe(output, demand).start(work).expect("it can start");
    } else {
        let often = (usize::MAX, Duration::from_secs(1));
        let consumer = pipeline.consumer("sink").max_restarts(often.0, often.1).subscribe(output, demand);
        consumer.start(work).expect("it can start");
    }
    seen
}

fn chain(pipeline: &mut Pipeline, mut output: Output<u64>, links: &[Link]) -> Output<u64> {
    for Link { demand, millis } in links.iter().cloned() {
        let pass = move |items: Vec<u64>| async move {
            tokio::time::sleep(Duration::from_millis(items[0] * 5 % (millis + 1))).await;
            items
        };
        let stage = pipeline.producer_consumer("link").subscribe(&output, demand);
        output = stage.start(pass).expect("it can start");
    }
    output
}

fn in_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("the system has memory").block_on(run)
}

/// Runs items of a producer, or pushed items with a `drain` at the end, and returns the items of each sink.
async fn run(dispatch: Dispatch, pushed: bool, buffer: usize, links: Vec<Link>, sinks: Vec<Sink>) -> Vec<Seen> {
    let mut pipeline = Pipeline::new();
    let (mut queue, output);
    if pushed {
        queue = Some(pipeline.queue("pushed").buffer(Buffer::keep_last(buffer)).start().expect("it can start"));
        output = (**queue.as_ref().expect("it was just made")).clone();
    } else {
        queue = None;
        output = pipeline.producer("made").start(from_iter(0..ITEMS)).expect("it can start");
    }
    let output = chain(&mut pipeline, output, &links);
    let spread = pipeline.producer_consumer("spread").subscribe(&output, Demand::max(10));
    let spread = match dispatch {
        Dispatch::Demand => spread,
        Dispatch::Broadcast => spread.broadcast(),
        Dispatch::Partition => spread.partition(sinks.len(), hash),
    };
    let spread = spread.start(|items: Vec<u64>| async { items }).expect("it can start");
    let seen: Vec<_> = sinks
        .iter()
        .enumerate()
        .map(|(index, sink)| match dispatch {
            Dispatch::Partition => attach(&mut pipeline, &spread.partition(index), sink),
            Dispatch::Demand | Dispatch::Broadcast => attach(&mut pipeline, &spread, sink),
        })
        .collect();
    match queue.take() {
        Some(queue) => {
            for item in 0..ITEMS {
                queue.push(item).await.expect("it is open");
            }
            pipeline.drain(Duration::from_secs(3600)).await.expect("everything ends");
        }
        None => pipeline.finished().await.expect("everything ends"),
    }
    seen.into_iter().map(|seen| std::mem::take(&mut *seen.lock())).collect()
}

fn dispatches() -> impl Strategy<Value = Dispatch> {
    prop_oneof![Just(Dispatch::Demand), Just(Dispatch::Broadcast), Just(Dispatch::Partition)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_item_arrives_once_and_no_more_are_in_flight_than_requested(
        dispatch in dispatches(),
        pushed in any::<bool>(),
        buffer in 0_usize..50,
        links in proptest::collection::vec(link(), 0..3),
        sinks in proptest::collection::vec(sink(), 1..4),
    ) {
        let seen = in_virtual_time(run(dispatch, pushed, buffer, links, sinks.clone()));
        let mut all: Vec<u64> = Vec::new();
        for (sink, seen) in sinks.iter().zip(&seen) {
            prop_assert!(seen.most <= sink.demand.max_demand(), "{} at once of {:?}", seen.most, sink);
            prop_assert!(seen.largest_batch <= sink.demand.batch(), "{} in a batch of {:?}", seen.largest_batch, sink);
            if !sink.workers || sink.demand.max_demand() == 1 {
                prop_assert!(seen.items.is_sorted(), "one at a time keeps the order");
            }
            match dispatch {
                Dispatch::Broadcast => {
                    let mut items = seen.items.clone();
                    items.sort_unstable();
                    prop_assert_eq!(items, (0..ITEMS).collect::<Vec<_>>());
                }
                Dispatch::Demand | Dispatch::Partition => all.extend(&seen.items),
            }
        }
        if !matches!(dispatch, Dispatch::Broadcast) {
            all.sort_unstable();
            prop_assert_eq!(all, (0..ITEMS).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_crash_loses_the_items_in_progress_and_no_others(
        pushed in any::<bool>(),
        buffer in 0_usize..50,
        each in 2_u64..20,
        sinks in proptest::collection::vec(sink(), 1..4),
    ) {
        let sinks: Vec<Sink> = sinks.into_iter().map(|sink| Sink { crash_each: Some(each), ..sink }).collect();
        let seen = in_virtual_time(run(Dispatch::Demand, pushed, buffer, Vec::new(), sinks.clone()));
        let mut all: Vec<u64> = Vec::new();
        for (sink, seen) in sinks.iter().zip(&seen) {
            prop_assert!(seen.most <= sink.demand.max_demand());
            if sink.workers {
                prop_assert!(seen.lost.iter().all(|item| item % each == 0), "only the item itself: {:?}", seen.lost);
            }
            all.extend(seen.items.iter().chain(&seen.lost));
        }
        all.sort_unstable();
        prop_assert_eq!(all, (0..ITEMS).collect::<Vec<_>>());
    }
}
