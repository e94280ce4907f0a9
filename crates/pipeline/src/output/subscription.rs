//! A stage's subscriptions to the outputs of other stages: they take items, and finish them.
//!
//! Consumers, producer-consumers and workers own their [`Subscriptions`]. Each item that is taken is finished once: when its
//! work is done, or when the stage's code has crashed.

use super::shared::SharedOutput;
use crate::exchange::SubscriberId;
use crate::exchange::demand::Demand;
use crate::telemetry::InputMeters;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::task::coop::consume_budget;

/// All subscriptions of one stage.
pub(crate) struct Subscriptions<T> {
    subscriptions: Vec<Arc<Subscription<T>>>,
    /// The one to take from first. It moves on, so that none starves.
    first: AtomicUsize,
    pub(crate) meters: Arc<InputMeters>,
}

/// One subscription. It ends when it is dropped.
pub(crate) struct Subscription<T> {
    output: Arc<SharedOutput<T>>,
    id: SubscriberId,
}

impl<T> Subscriptions<T> {
    pub(crate) fn new(subscriptions: Vec<Subscription<T>>, meters: Arc<InputMeters>) -> Self {
        Subscriptions {
            subscriptions: subscriptions.into_iter().map(Arc::new).collect(),
            first: AtomicUsize::new(0),
            meters,
        }
    }

    /// Waits for the next batch, of at most `limit` items. Returns it with its subscription; `None` when all have ended.
    pub(crate) async fn batch(&self, limit: usize) -> Option<(&Arc<Subscription<T>>, Vec<T>)> {
        // Where there is always a batch, the task must still yield to others.
        consume_budget().await;
        poll_fn(|cx| self.poll_batch(cx, limit)).await
    }

    fn poll_batch(&self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<(&Arc<Subscription<T>>, Vec<T>)>> {
        let (count, first) = (self.subscriptions.len(), self.first.load(Ordering::Relaxed));
        let mut ended = 0;
        for offset in 0..count {
            let subscription = &self.subscriptions[(first + offset) % count];
            match subscription.output.poll_take(subscription.id, cx, limit) {
                Poll::Ready(Some(batch)) => {
                    self.first.store((first + offset + 1) % count, Ordering::Relaxed);
                    return Poll::Ready(Some((subscription, batch)));
                }
                Poll::Ready(None) => ended += 1,
                Poll::Pending => {}
            }
        }
        if ended == count { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Finishes the items in progress after a crash, and counts them as lost.
    pub(crate) fn abandon(&self) {
        let lost: usize = self.subscriptions.iter().map(|subscription| subscription.abandon()).sum();
        self.meters.lost.increment(lost as u64);
    }
}

impl<T> Subscription<T> {
    pub(crate) fn new(
        output: Arc<SharedOutput<T>>,
        partition: usize,
        demand: Demand,
        meters: Arc<InputMeters>,
    ) -> Self {
        let id = output.subscribe(partition, demand, meters);
        Subscription { output, id }
    }

    /// Finishes `count` items that were taken.
    pub(crate) fn finish(&self, count: usize) {
        self.output.change_exchange(|exchange| exchange.finish(self.id, count));
    }

    /// Finishes all items that were taken, and returns how many.
    fn abandon(&self) -> usize {
        self.output.change_exchange(|exchange| {
            let count = exchange.in_progress(self.id);
            exchange.finish(self.id, count);
            count
        })
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        let left = self.output.unsubscribe(self.id);
        // Without the lock: dropping an item runs user code.
        drop(left);
    }
}
