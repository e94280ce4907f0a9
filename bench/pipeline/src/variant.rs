//! The ways that the benchmark compares. Each works at the same items with the same bound, and returns when all are done.

use crate::work::{Sum, Work};
use bennu_pipeline::{Demand, Pipeline, Worker, from_iter, handled};
use futures::StreamExt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// One way to work at many items at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The baseline of workers: `futures::StreamExt::for_each_concurrent`. No tasks, no isolation, one core.
    ForEachConcurrent,
    /// A solution with tokio alone: a task an item, behind a semaphore.
    Tasks,
    /// A producer and a supervisor with workers.
    Workers,
    /// A queue with one push an item, and a supervisor with workers.
    Pushed,
    /// The same, with `push_all` of half the bound.
    PushedBatches,
    /// The baseline of consumers: a stream in chunks, `for_each`.
    ForEachChunk,
    /// A producer and a consumer.
    Consumer,
}

#[derive(Clone)]
struct Job {
    work: Work,
    sum: Sum,
}

impl Worker<u64> for Job {
    async fn work(&self, item: u64) -> bennu_pipeline::HandlerResult {
        self.work.run(item, &self.sum).await;
        handled()
    }
}

impl Variant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::ForEachConcurrent => "for_each_concurrent",
            Variant::Tasks => "a task an item",
            Variant::Workers => "producer, workers",
            Variant::Pushed => "queue, workers",
            Variant::PushedBatches => "queue, batches",
            Variant::ForEachChunk => "chunks, for_each",
            Variant::Consumer => "producer, consumer",
        }
    }

    /// Works at all items below `items`, at most `bound` at once, or in chunks of half of it.
    pub(crate) async fn run(self, items: u64, bound: usize, work: Work, sum: Sum) {
        let demand = Demand::max(bound);
        let mut pipeline = Pipeline::new();
        match self {
            Variant::ForEachConcurrent => {
                let each = |item| work.run(item, &sum);
                futures::stream::iter(0..items).for_each_concurrent(bound, each).await;
            }
            Variant::Tasks => {
                let (room, mut tasks) = (Arc::new(Semaphore::new(bound)), JoinSet::new());
                for item in 0..items {
                    let permit = room.clone().acquire_owned().await.expect("the semaphore is open");
                    while tasks.try_join_next().is_some() {}
                    let sum = sum.clone();
                    tasks.spawn(async move {
                        work.run(item, &sum).await;
                        drop(permit);
                    });
                }
                while tasks.join_next().await.is_some() {}
            }
            Variant::Workers => {
                let numbers = pipeline.producer("numbers").start(from_iter(0..items)).expect("the stage can start");
                let workers = pipeline.workers("work").subscribe(&numbers, demand);
                workers.start(Job { work, sum }).expect("the stage can start");
                pipeline.finished().await.expect("no stage crashes");
            }
            Variant::Pushed | Variant::PushedBatches => {
                let numbers = pipeline.queue("numbers").start().expect("the stage can start");
                let workers = pipeline.workers("work").subscribe(&numbers, demand);
                workers.start(Job { work, sum }).expect("the stage can start");
                if self == Variant::Pushed {
                    for item in 0..items {
                        numbers.push(item).await.expect("the queue is open");
                    }
                } else {
                    for first in (0..items).step_by(demand.batch()) {
                        let batch = (first..items).take(demand.batch()).collect();
                        numbers.push_all(batch).await.expect("the queue is open");
                    }
                }
                drop(numbers);
                pipeline.finished().await.expect("no stage crashes");
            }
            Variant::ForEachChunk => {
                let each = |chunk: Vec<u64>| async {
                    for item in chunk {
                        work.run(item, &sum).await;
                    }
                };
                futures::stream::iter(0..items).chunks(demand.batch()).for_each(each).await;
            }
            Variant::Consumer => {
                let numbers = pipeline.producer("numbers").start(from_iter(0..items)).expect("the stage can start");
                let each = move |batch: Vec<u64>| {
                    let sum = sum.clone();
                    async move {
                        for item in batch {
                            work.run(item, &sum).await;
                        }
                    }
                };
                let consumer = pipeline.consumer("work").subscribe(&numbers, demand);
                consumer.start(each).expect("the stage can start");
                pipeline.finished().await.expect("no stage crashes");
            }
        }
    }
}
