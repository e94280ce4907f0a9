//! A subscription to an outlet, as the subscriber holds it: takes items, and says which of them are done.

use super::Outlet;
use crate::demand::Demand;
use crate::exchange::{Exchange, Share, SubscriberId};
use crate::telemetry::InputMeters;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// A subscription. Ends when it is dropped.
pub(crate) struct Inlet<T> {
    outlet: Arc<Outlet<T>>,
    id: SubscriberId,
    /// Whether the producer may be turned from here.
    turns: bool,
}

impl<T> Inlet<T> {
    pub(crate) fn new(outlet: Arc<Outlet<T>>, partition: usize, demand: Demand, meters: Arc<InputMeters>) -> Self {
        let id = outlet.subscribe(partition, demand, meters);
        let turns = outlet.crank.get().is_some_and(|crank| crank.is_near());
        Inlet { outlet, id, turns }
    }

    /// The next batch, of `limit` items at most. Waits for one; `None` when there will be no more.
    pub(crate) fn poll_batch(&self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Vec<T>>> {
        self.poll_with(cx, |exchange, id| Some(exchange.take(id, limit)).filter(|batch| !batch.is_empty()))
    }

    /// The next share. Waits for something; `None` when there will be no more.
    pub(crate) fn poll_share(&self, cx: &mut Context<'_>, size: Share) -> Poll<Option<VecDeque<T>>> {
        self.poll_with(cx, |exchange, id| {
            let mut share = VecDeque::new();
            exchange.take_share(id, size, &mut share);
            Some(share).filter(|share| !share.is_empty())
        })
    }

    /// Whether there is something to take.
    pub(crate) fn has_more(&self) -> bool {
        self.outlet.state.lock().exchange.has_more(self.id)
    }

    fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Exchange<T>, SubscriberId) -> Option<R>,
    ) -> Poll<Option<R>> {
        let mut state = self.outlet.state.lock();
        if let Some(taken) = take(&mut state.exchange, self.id) {
            return Poll::Ready(Some(taken));
        }
        if state.exchange.ended(self.id) {
            return Poll::Ready(None);
        }
        state.subscribers[self.id].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// So many items that were taken are done.
    pub(crate) fn finish(&self, count: usize) {
        self.outlet.change(|state| state.exchange.finish(self.id, count));
    }

    /// So many items that were taken are done, now; the producer may make more of them at once, in this task.
    pub(crate) fn finish_and_make(&self, count: usize, now: Instant) {
        let ((), producer) = self.outlet.change_and_ask(|state| state.exchange.finish(self.id, count));
        if let Some(producer) = producer {
            self.make(producer, now);
        }
    }

    /// Has the producer make what was asked for. Takes the time, and says what it is afterwards.
    fn make(&self, producer: Waker, now: Instant) -> Instant {
        match self.outlet.crank.get() {
            Some(crank) if self.turns => crank.turn(producer, now),
            _ => {
                producer.wake();
                now
            }
        }
    }

    /// So many items are done; takes a share of what is there. The producer makes what it is asked for first, in this task
    /// if it may, so that there is something; others are woken for what this share leaves. Takes the time, and says what it
    /// is when the share can be begun.
    pub(crate) fn finish_and_take(&self, count: usize, now: Instant, size: Share, share: &mut VecDeque<T>) -> Instant {
        let (others, producer) = self.outlet.change_and_ask(|state| {
            state.exchange.finish(self.id, count);
            if self.turns && state.producer.is_some() && state.exchange.demand() > 0 {
                return state.subscribers[self.id].waker.take();
            }
            state.exchange.take_share(self.id, size, share);
            None
        });
        let Some(producer) = producer else { return now };
        let now = self.make(producer, now);
        self.outlet.change(|state| {
            if share.is_empty() {
                state.exchange.take_share(self.id, size, share);
            }
            if others.is_some() {
                state.subscribers[self.id].waker = state.subscribers[self.id].waker.take().or(others);
                state.exchange.remind(self.id);
            }
        });
        now
    }

    /// Puts back what was taken and not begun, for others to take.
    pub(crate) fn put_back(&self, items: &mut VecDeque<T>) {
        self.outlet.change(|state| state.exchange.put_back(self.id, items));
    }

    /// Gives up what is in hand, and says how many items that was.
    pub(crate) fn abandon(&self) -> usize {
        self.outlet.change(|state| {
            let count = state.exchange.in_hand(self.id);
            state.exchange.finish(self.id, count);
            count
        })
    }
}

impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        let left = self.outlet.change(|state| {
            let waiting = &mut state.subscribers[self.id];
            waiting.meters.in_flight.decrement(std::mem::take(&mut waiting.in_flight) as f64);
            state.exchange.unsubscribe(self.id)
        });
        // Without the lock: these are the user's.
        drop(left);
    }
}
