//! A stage's output as its tasks share it: the exchange behind a lock, and the tasks that wait for it.
//!
//! Queues, producers, sources and producer-consumers insert items; subscriptions take them. The lock is held for a few
//! instructions, never across an await, and wakers are called without it. Two pieces of user code run under it: a partition's
//! hash and a broadcast's `Clone`.
//!
//! Pushes that wait for room are served in the order in which they came. The wait queue of a partition is a semaphore of one
//! permit. A `push` tries to insert only with the permit; when it finds no room, it leaves a waker and the number of places that
//! it needs. When the future of a push is dropped, its permit goes to the next. `try_push` and `force_push` do not wait, so they
//! need no permit and may overtake. `push_all` has the permit of its first item's partition, and may overtake in the others.

use crate::exchange::buffer::Buffer;
use crate::exchange::demand::Demand;
use crate::exchange::dispatcher::Dispatcher;
use crate::exchange::{Exchange, SubscriberId};
use crate::telemetry::{InputMeters, OutputMeters};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::Semaphore;
use tokio::task::coop::consume_budget;

pub(crate) struct SharedOutput<T> {
    stage: &'static str,
    buffer: Buffer,
    state: Mutex<State<T>>,
    /// The wait queues of pushes, by partition.
    wait_queues: Vec<Semaphore>,
    meters: OutputMeters,
}

struct State<T> {
    exchange: Exchange<T>,
    /// By their ids.
    subscribers: Vec<Subscriber>,
    /// Waits for demand.
    producer: Option<Waker>,
    /// The push with the permit that waits for room, by partition.
    pushes: Vec<Option<Push>>,
    drops: Drops,
}

/// A subscriber that may wait for items.
struct Subscriber {
    waker: Option<Waker>,
    meters: Arc<InputMeters>,
    /// The subscriber's part of the gauge's value.
    in_flight: usize,
}

/// A push that waits until there is room for so many items.
struct Push {
    room: usize,
    waker: Waker,
}

/// Whether dropped items have been logged. A full buffer logs once, until it has been empty.
#[derive(Clone, Copy, PartialEq)]
enum Drops {
    None,
    NotLogged,
    Logged,
}

/// The reason why an item was not accepted.
pub(crate) enum Rejected<T> {
    Full(T),
    Closed(T),
}

impl<T> SharedOutput<T> {
    pub(crate) fn new(stage: &'static str, dispatcher: Dispatcher<T>, buffer: Buffer) -> Self {
        let exchange = Exchange::new(dispatcher, buffer);
        let partitions = exchange.partitions();
        SharedOutput {
            stage,
            buffer,
            wait_queues: (0..partitions).map(|_| Semaphore::new(1)).collect(),
            state: Mutex::new(State {
                exchange,
                subscribers: Vec::new(),
                producer: None,
                pushes: (0..partitions).map(|_| None).collect(),
                drops: Drops::None,
            }),
            meters: OutputMeters::new(stage),
        }
    }

    pub(crate) fn stage(&self) -> &'static str {
        self.stage
    }

    pub(crate) fn partitions(&self) -> usize {
        self.wait_queues.len()
    }

    /// Returns how many items are made and not requested yet.
    pub(crate) fn buffered(&self) -> usize {
        self.state.lock().exchange.buffered()
    }

    /// Inserts an item, or returns it.
    pub(crate) fn try_push(&self, item: T) -> Result<(), Rejected<T>> {
        self.change(|state| {
            if state.exchange.closed() {
                return Err(Rejected::Closed(item));
            }
            state.exchange.insert(item).map_err(Rejected::Full)?;
            self.meters.emitted.increment(1);
            Ok(())
        })
    }

    /// Inserts an item when there is room. Returns it when the output is closed.
    pub(crate) async fn push(&self, item: T) -> Result<(), T> {
        let partition = self.partition(&item);
        let mut item = Some(item);
        let insert = |exchange: &mut Exchange<T>| {
            item = exchange.insert_into(partition, item.take()?).err();
            self.meters.emitted.increment(u64::from(item.is_none()));
            item.is_none().then_some(())
        };
        self.insert_in_turn(partition, 1, insert).await;
        item.map_or(Ok(()), Err)
    }

    /// Inserts items when there is room, as many at a time as there is room for. Returns the rest when the output is closed.
    /// Waits until half of the buffer has room, so that the task is woken seldom; between two waits other pushes take their
    /// turn.
    pub(crate) async fn push_all(&self, items: Vec<T>) -> Result<(), Vec<T>> {
        let mut items = VecDeque::from(items);
        while let Some(first) = items.front() {
            let partition = self.partition(first);
            let room = items.len().min((self.buffer.size / 2).max(1));
            let insert = |exchange: &mut Exchange<T>| {
                let inserted = exchange.insert_while_room(&mut items);
                self.meters.emitted.increment(inserted as u64);
                (inserted > 0).then_some(())
            };
            if self.insert_in_turn(partition, room, insert).await.is_none() {
                return Err(items.into());
            }
        }
        Ok(())
    }

    /// Inserts an item, and returns the item that a full buffer dropped for it. Returns the item as an error when the output
    /// is closed.
    pub(crate) fn force_push(&self, item: T) -> Result<Option<T>, T> {
        self.change(|state| {
            if state.exchange.closed() {
                return Err(item);
            }
            let dropped = state.exchange.force(item);
            self.meters.emitted.increment(1);
            if dropped.is_some() {
                self.count_dropped(state, 1);
            }
            Ok(dropped)
        })
    }

    /// Inserts a producer's items. Returns those that a full buffer dropped, because the producer made more than were
    /// requested.
    pub(crate) fn emit(&self, items: Vec<T>) -> Vec<T> {
        self.change(|state| {
            self.meters.emitted.increment(items.len() as u64);
            let dropped = state.exchange.force_all(items);
            if !dropped.is_empty() {
                self.count_dropped(state, dropped.len());
            }
            dropped
        })
    }

    /// Inserts a producer-consumer's items, past the buffer's size if need be: the stage takes no further batch until all of
    /// them have been requested.
    pub(crate) fn emit_all(&self, items: Vec<T>) {
        self.change(|state| {
            self.meters.emitted.increment(items.len() as u64);
            state.exchange.insert_all(items);
        });
    }

    /// Waits for demand, and returns how many items to make. Only the task that closes the output may call it.
    pub(crate) async fn demand(&self) -> usize {
        // Where there is always demand, the task must still yield to others.
        consume_budget().await;
        poll_fn(|cx| {
            let mut state = self.state.lock();
            match state.exchange.demand() {
                0 => {
                    state.producer = Some(cx.waker().clone());
                    Poll::Pending
                }
                demand => Poll::Ready(demand),
            }
        })
        .await
    }

    /// Closes the output: it accepts no more items. Items that it has accepted are still delivered.
    pub(crate) fn close(&self) {
        self.change(|state| state.exchange.close());
        self.wait_queues.iter().for_each(Semaphore::close);
    }

    pub(crate) fn closed(&self) -> bool {
        self.state.lock().exchange.closed()
    }

    pub(super) fn subscribe(&self, partition: usize, demand: Demand, meters: Arc<InputMeters>) -> SubscriberId {
        self.change(|state| {
            state.subscribers.push(Subscriber { waker: None, meters, in_flight: 0 });
            state.exchange.subscribe(partition, demand)
        })
    }

    /// Removes a subscriber and its part of the gauge. Returns the items that no other subscriber needs.
    pub(super) fn unsubscribe(&self, id: SubscriberId) -> VecDeque<T> {
        self.change(|state| {
            let subscriber = &mut state.subscribers[id];
            subscriber.meters.in_flight.decrement(std::mem::take(&mut subscriber.in_flight) as f64);
            state.exchange.unsubscribe(id)
        })
    }

    /// Takes the next batch of a subscriber, of at most `limit` items. Pending until there is one; `None` when there will be
    /// no more.
    pub(super) fn poll_take(&self, id: SubscriberId, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Vec<T>>> {
        let mut state = self.state.lock();
        let batch = state.exchange.take(id, limit);
        if !batch.is_empty() {
            return Poll::Ready(Some(batch));
        }
        if state.exchange.ended(id) {
            return Poll::Ready(None);
        }
        state.subscribers[id].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Changes the exchange under the lock, updates the gauges, and wakes the tasks that can go on.
    pub(super) fn change_exchange<R>(&self, change: impl FnOnce(&mut Exchange<T>) -> R) -> R {
        self.change(|state| change(&mut state.exchange))
    }

    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.notify(state);
        result
    }

    fn notify(&self, mut state: MutexGuard<'_, State<T>>) {
        let State { exchange, subscribers, producer, pushes, drops } = &mut *state;
        let mut wakers: SmallVec<[Waker; 4]> = SmallVec::new();
        wakers.extend(exchange.take_ready().into_iter().filter_map(|id| subscribers[id].waker.take()));
        wakers.extend(producer.take_if(|_| exchange.demand() > 0));
        for (partition, push) in pushes.iter_mut().enumerate() {
            let push = push.take_if(|push| exchange.closed() || exchange.room(partition) >= push.room);
            wakers.extend(push.map(|push| push.waker));
        }
        let log_drops = *drops == Drops::NotLogged;
        match *drops {
            Drops::NotLogged => *drops = Drops::Logged,
            Drops::Logged if exchange.buffered() == 0 => *drops = Drops::None,
            Drops::None | Drops::Logged => {}
        }
        self.meters.queued.set(exchange.buffered() as f64);
        self.meters.demand.set(exchange.requested() as f64);
        for (id, subscriber) in subscribers.iter_mut().enumerate() {
            let now = exchange.in_flight(id);
            if now != subscriber.in_flight {
                subscriber.meters.in_flight.increment(now as f64 - subscriber.in_flight as f64);
                subscriber.in_flight = now;
            }
        }
        drop(state);
        if log_drops {
            let Buffer { size, keep } = self.buffer;
            tracing::warn!(stage = self.stage, size, ?keep, "a full buffer drops items");
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits for the partition's permit, and calls `insert` until it has inserted something: at once, and then whenever the
    /// partition has room for `room` items. Returns `None` when the output is closed.
    async fn insert_in_turn(
        &self,
        partition: usize,
        room: usize,
        mut insert: impl FnMut(&mut Exchange<T>) -> Option<()>,
    ) -> Option<()> {
        let _permit = self.wait_queues[partition].acquire().await.ok()?;
        poll_fn(|cx| {
            self.change(|state| {
                if state.exchange.closed() {
                    return Poll::Ready(None);
                }
                let inserted = insert(&mut state.exchange);
                if inserted.is_some() {
                    return Poll::Ready(inserted);
                }
                state.pushes[partition] = Some(Push { room, waker: cx.waker().clone() });
                Poll::Pending
            })
        })
        .await
    }

    fn partition(&self, item: &T) -> usize {
        if self.partitions() == 1 { 0 } else { self.state.lock().exchange.partition(item) }
    }

    fn count_dropped(&self, state: &mut State<T>, items: usize) {
        self.meters.dropped.increment(items as u64);
        if state.drops == Drops::None {
            state.drops = Drops::NotLogged;
        }
    }
}
