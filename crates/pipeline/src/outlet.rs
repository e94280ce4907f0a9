//! A stage's output as its tasks share it: the exchange behind a lock, and who waits for it.
//!
//! Queues, producers, sources and producer-consumers put items in; inlets take them out. The lock is held for a few
//! instructions, never across an await, and wakers are called without it. What runs under it of the user's are a
//! partition's hash and a broadcast's `Clone`.

use crate::buffer::Buffer;
use crate::crank::Crank;
use crate::demand::Demand;
use crate::dispatcher::Dispatcher;
use crate::exchange::{Exchange, Share, SubscriberId};
use crate::telemetry::{InputMeters, OutputMeters};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

pub(crate) struct Outlet<T> {
    stage: &'static str,
    buffer: Buffer,
    partitions: usize,
    state: Mutex<State<T>>,
    /// Where pushes wait for room.
    room: Notify,
    /// Who makes items on demand, if that may be done in a subscriber's task.
    crank: OnceLock<Arc<Crank>>,
    meters: OutputMeters,
}

struct State<T> {
    exchange: Exchange<T>,
    /// By their ids.
    subscribers: Vec<Waiting>,
    /// Of who makes items on demand.
    producer: Option<Waker>,
    /// Pushes that wait for room.
    pushes: usize,
    drops: Drops,
}

/// What the log knows of items that were dropped.
#[derive(Clone, Copy, PartialEq)]
enum Drops {
    /// None since the buffer was empty.
    None,
    /// Some, just now.
    New,
    /// Some, and the log has it.
    Logged,
}

/// A subscriber that may wait for items.
struct Waiting {
    waker: Option<Waker>,
    meters: Arc<InputMeters>,
    /// What the gauge was told.
    in_flight: usize,
}

/// Why an item was not taken.
pub(crate) enum Refused<T> {
    Full(T),
    Closed(T),
}

impl<T> Outlet<T> {
    pub(crate) fn new(stage: &'static str, dispatcher: Dispatcher<T>, buffer: Buffer) -> Self {
        let exchange = Exchange::new(dispatcher, buffer);
        Outlet {
            stage,
            buffer,
            partitions: exchange.partitions(),
            state: Mutex::new(State {
                exchange,
                subscribers: Vec::new(),
                producer: None,
                pushes: 0,
                drops: Drops::None,
            }),
            room: Notify::new(),
            crank: OnceLock::new(),
            meters: OutputMeters::new(stage),
        }
    }

    /// Lets subscribers turn the producer. Called once, before anybody subscribes.
    pub(crate) fn may_turn(&self, crank: Arc<Crank>) {
        self.crank.get_or_init(|| crank);
    }

    pub(crate) fn stage(&self) -> &'static str {
        self.stage
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// Items that nobody has asked for yet.
    pub(crate) fn held(&self) -> usize {
        self.state.lock().exchange.held()
    }

    /// Takes an item, or says why not.
    pub(crate) fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        self.change(|state| {
            if state.exchange.closed() {
                return Err(Refused::Closed(item));
            }
            state.exchange.insert(item).map_err(Refused::Full)?;
            self.meters.emitted.increment(1);
            Ok(())
        })
    }

    /// Takes an item when there is room; gives it back when the outlet is closed.
    pub(crate) async fn push(&self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        self.when_there_is_room(|| match self.try_push(item.take()?) {
            Ok(()) => Some(Ok(())),
            Err(Refused::Closed(item)) => Some(Err(item)),
            Err(Refused::Full(full)) => {
                item = Some(full);
                None
            }
        })
        .await
    }

    /// Takes items when there is room for them, as many at a time as there is room for; gives back those that are left when
    /// the outlet is closed.
    pub(crate) async fn push_all(&self, items: Vec<T>) -> Result<(), Vec<T>> {
        let mut items = VecDeque::from(items);
        self.when_there_is_room(|| self.push_some(&mut items)).await
    }

    /// Takes as many items as there is room for. Ends when all are taken, or when no more will be.
    fn push_some(&self, items: &mut VecDeque<T>) -> Option<Result<(), Vec<T>>> {
        self.change(|state| {
            if !state.exchange.closed() {
                let taken = state.exchange.insert_some(items);
                self.meters.emitted.increment(taken as u64);
            }
            match items.is_empty() {
                true => Some(Ok(())),
                false => state.exchange.closed().then(|| Err(std::mem::take(items).into())),
            }
        })
    }

    /// Tries until it works, now and whenever there is room.
    async fn when_there_is_room<R>(&self, mut push: impl FnMut() -> Option<R>) -> R {
        if let Some(pushed) = push() {
            return pushed;
        }
        let _waiting = PushWaits::new(self);
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            // From here on room that is made wakes this push, so that none is missed between the look and the wait.
            notified.as_mut().enable();
            if let Some(pushed) = push() {
                return pushed;
            }
            notified.await;
        }
    }

    /// Takes an item whether there is room or not, and gives back what was dropped for it.
    pub(crate) fn force_push(&self, item: T) -> Result<Option<T>, T> {
        self.change(|state| {
            if state.exchange.closed() {
                return Err(item);
            }
            let dropped = state.exchange.force(item);
            self.meters.emitted.increment(1);
            if dropped.is_some() {
                self.dropped(state, 1);
            }
            Ok(dropped)
        })
    }

    /// Takes what a producer made; gives back what was dropped because it made more than was asked for.
    pub(crate) fn emit(&self, items: Vec<T>) -> Vec<T> {
        self.change(|state| {
            self.meters.emitted.increment(items.len() as u64);
            let dropped = state.exchange.force_all(items);
            if !dropped.is_empty() {
                self.dropped(state, dropped.len());
            }
            dropped
        })
    }

    /// Takes what a stage made of its input. There is no dropping here: the stage takes no more input until it is gone.
    pub(crate) fn emit_all(&self, items: Vec<T>) {
        self.change(|state| {
            self.meters.emitted.increment(items.len() as u64);
            state.exchange.insert_all(items);
        });
    }

    /// How many items to make next: waits until somebody asks. Only whoever closes the outlet calls this.
    pub(crate) async fn demand(&self) -> usize {
        let mut waited = false;
        let demand = poll_fn(|cx| {
            let mut state = self.state.lock();
            match state.exchange.demand() {
                0 => {
                    state.producer = Some(cx.waker().clone());
                    waited = true;
                    Poll::Pending
                }
                demand => Poll::Ready(demand),
            }
        })
        .await;
        if !waited {
            // Others that ask all the time must not keep it from letting its thread go.
            consume_budget().await;
        }
        demand
    }

    /// Nothing is taken any more; what was taken is still delivered.
    pub(crate) fn close(&self) {
        self.change(|state| state.exchange.close());
        self.room.notify_waiters();
    }

    pub(crate) fn closed(&self) -> bool {
        self.state.lock().exchange.closed()
    }

    fn subscribe(&self, partition: usize, demand: Demand, meters: Arc<InputMeters>) -> SubscriberId {
        self.change(|state| {
            state.subscribers.push(Waiting { waker: None, meters, in_flight: 0 });
            state.exchange.subscribe(partition, demand)
        })
    }

    /// Changes the exchange under its lock, and then tells everybody whom it concerns.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let (result, producer) = self.change_and_ask(change);
        producer.into_iter().for_each(Waker::wake);
        result
    }

    /// Changes the exchange, tells everybody but the producer, and gives back its waker if it should make something now.
    fn change_and_ask<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> (R, Option<Waker>) {
        let mut state = self.state.lock();
        let held = state.exchange.held();
        let result = change(&mut state);
        (result, self.tell(state, held))
    }

    fn tell(&self, mut state: MutexGuard<'_, State<T>>, held_before: usize) -> Option<Waker> {
        let State { exchange, subscribers, producer, pushes, drops } = &mut *state;
        let mut wakers: SmallVec<[Waker; 4]> = SmallVec::new();
        if exchange.has_news() {
            wakers.extend(exchange.news().into_iter().filter_map(|id| subscribers[id].waker.take()));
        }
        let producer = producer.take_if(|_| exchange.demand() > 0);
        let (held, asked) = (exchange.held(), exchange.asked());
        let log_drops = *drops == Drops::New;
        match *drops {
            Drops::New => *drops = Drops::Logged,
            Drops::Logged if held == 0 => *drops = Drops::None,
            Drops::None | Drops::Logged => {}
        }
        // Demand is room too: an item that was asked for needs no place.
        let room = if *pushes == 0 { 0 } else { held_before.saturating_sub(held).max(asked).min(*pushes) };
        self.meters.queued.set(held as f64);
        self.meters.demand.set(asked as f64);
        for (id, waiting) in subscribers.iter_mut().enumerate() {
            let now = exchange.in_flight(id);
            if now != waiting.in_flight {
                waiting.meters.in_flight.increment(now as f64 - waiting.in_flight as f64);
                waiting.in_flight = now;
            }
        }
        drop(state);
        if log_drops {
            let Buffer { size, keep } = self.buffer;
            tracing::warn!(stage = self.stage, size, ?keep, "a full buffer drops items");
        }
        wakers.into_iter().for_each(Waker::wake);
        match self.partitions {
            1 => (0..room).for_each(|_| self.room.notify_one()),
            // Which of them have room now depends on their items.
            _ if room > 0 => self.room.notify_waiters(),
            _ => {}
        }
        producer
    }

    fn dropped(&self, state: &mut State<T>, items: usize) {
        self.meters.dropped.increment(items as u64);
        if state.drops == Drops::None {
            state.drops = Drops::New;
        }
    }
}

/// Counts a push that waits for room.
struct PushWaits<'a, T>(&'a Outlet<T>);

impl<'a, T> PushWaits<'a, T> {
    fn new(outlet: &'a Outlet<T>) -> Self {
        outlet.state.lock().pushes += 1;
        PushWaits(outlet)
    }
}

impl<T> Drop for PushWaits<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().pushes -= 1;
    }
}

/// A subscription, as the subscriber holds it. Ends when it is dropped.
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
