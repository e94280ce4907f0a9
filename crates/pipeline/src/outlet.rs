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
use crate::line::{Line, Ticket};
use crate::telemetry::{InputMeters, OutputMeters};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

pub(crate) struct Outlet<T> {
    stage: &'static str,
    buffer: Buffer,
    partitions: usize,
    state: Mutex<State<T>>,
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
    /// Of pushes that wait for room.
    line: Line,
    drops: Drops,
}

/// How full the exchange is.
struct Level {
    held: usize,
    asked: usize,
}

impl Level {
    fn of<T>(exchange: &Exchange<T>) -> Self {
        Level { held: exchange.held(), asked: exchange.asked() }
    }
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
                line: Line::default(),
                drops: Drops::None,
            }),
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
        let (mut place, mut waits) = (Place::new(self), Some(item));
        let push = |exchange: &mut Exchange<T>| {
            let Some(item) = waits.take() else { return 0 };
            waits = exchange.insert(item).err();
            self.meters.emitted.increment(u64::from(waits.is_none()));
            usize::from(waits.is_some())
        };
        place.push(1, push).await;
        waits.map_or(Ok(()), Err)
    }

    /// Takes items when there is room, as many at a time as there is room for; gives back those that are left when the outlet
    /// is closed. Between them it waits until half of the buffer has room, so that it is woken seldom.
    pub(crate) async fn push_all(&self, items: Vec<T>) -> Result<(), Vec<T>> {
        let (mut place, mut waits) = (Place::new(self), VecDeque::from(items));
        let wants = |left: usize| left.min((self.buffer.size / 2).max(1));
        let first = wants(waits.len());
        let push = |exchange: &mut Exchange<T>| {
            self.meters.emitted.increment(exchange.insert_some(&mut waits) as u64);
            wants(waits.len())
        };
        place.push(first, push).await;
        if waits.is_empty() { Ok(()) } else { Err(waits.into()) }
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
        let before = Level::of(&state.exchange);
        let result = change(&mut state);
        (result, self.tell(state, before))
    }

    fn tell(&self, mut state: MutexGuard<'_, State<T>>, before: Level) -> Option<Waker> {
        let State { exchange, subscribers, producer, line, drops } = &mut *state;
        let mut wakers: SmallVec<[Waker; 4]> = SmallVec::new();
        if exchange.has_news() {
            wakers.extend(exchange.news().into_iter().filter_map(|id| subscribers[id].waker.take()));
        }
        let producer = producer.take_if(|_| exchange.demand() > 0);
        let Level { held, asked } = Level::of(exchange);
        let log_drops = *drops == Drops::New;
        match *drops {
            Drops::New => *drops = Drops::Logged,
            Drops::Logged if held == 0 => *drops = Drops::None,
            Drops::None | Drops::Logged => {}
        }
        if !line.is_empty() {
            let freed = held < before.held || asked > before.asked;
            if exchange.closed() || (self.partitions > 1 && freed) {
                // Which of them have room now depends on their items.
                wakers.extend(line.call_all());
            } else if self.partitions == 1 {
                wakers.extend(std::iter::from_fn(|| line.call(exchange.room())));
            }
        }
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
        producer
    }

    fn dropped(&self, state: &mut State<T>, items: usize) {
        self.meters.dropped.increment(items as u64);
        if state.drops == Drops::None {
            state.drops = Drops::New;
        }
    }
}

/// A push's place among those that wait for room. Leaves it when it is dropped.
struct Place<'a, T> {
    outlet: &'a Outlet<T>,
    ticket: Option<Ticket>,
}

impl<'a, T> Place<'a, T> {
    fn new(outlet: &'a Outlet<T>) -> Self {
        Place { outlet, ticket: None }
    }

    /// Tries whenever there is as much room as it wants, until it wants none or the outlet is closed. A try says how much room
    /// it wants for what is left.
    async fn push(&mut self, mut wants: usize, mut attempt: impl FnMut(&mut Exchange<T>) -> usize) {
        poll_fn(|cx| {
            self.outlet.change(|state| {
                let State { exchange, line, .. } = state;
                if exchange.closed() {
                    return Poll::Ready(());
                }
                let first = match self.ticket {
                    Some(ticket) if line.stay(ticket, cx.waker()) => return Poll::Pending,
                    Some(called) => {
                        line.leave(called);
                        self.ticket = None;
                        true
                    }
                    // Nobody overtakes; but in another partition there may be room.
                    None => line.is_empty() || self.outlet.partitions > 1,
                };
                if first {
                    wants = attempt(exchange);
                }
                if wants == 0 {
                    return Poll::Ready(());
                }
                self.ticket = Some(line.join(wants, cx.waker().clone()));
                Poll::Pending
            })
        })
        .await
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // What it was promised is the others'.
            self.outlet.change(|state| state.line.leave(ticket));
        }
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
