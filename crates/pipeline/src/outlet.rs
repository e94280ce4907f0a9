//! A stage's output as its tasks share it: the exchange behind a lock, and who waits for it.
//!
//! Queues, producers, sources and producer-consumers put items in; inlets take them out. The lock is held for a few
//! instructions, never across an await, and wakers are called without it. What runs under it of the user's are a
//! partition's hash and a broadcast's `Clone`.

mod inlet;
mod place;

pub(crate) use inlet::Inlet;

use crate::buffer::Buffer;
use crate::crank::Crank;
use crate::demand::Demand;
use crate::dispatcher::Dispatcher;
use crate::exchange::{Exchange, SubscriberId};
use crate::line::Line;
use crate::telemetry::{InputMeters, OutputMeters};
use parking_lot::{Mutex, MutexGuard};
use place::Place;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use tokio::task::coop::consume_budget;

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
