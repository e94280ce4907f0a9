//! Matches an output's items with its subscribers' demand. Pure: no task, no clock, no waker.
//!
//! [`SharedOutput`](crate::output::shared::SharedOutput) owns the exchange, puts a lock around it, and wakes the subscribers
//! that the exchange lists as ready. A subscriber requests `max_demand` items when it subscribes. An item goes into the inbox
//! of a subscriber that has requested one, or waits in its partition's buffer. The subscriber takes items from its inbox,
//! works at them, and finishes them. Finished items are requested again once a batch of them has come together.
//!
//! Invariants, checked in debug builds and by the tests:
//! - for each subscriber, `requested + inbox + in progress + finished = max_demand`
//! - a partition buffers items only while no subscriber can receive them, so order is kept
//! - a partition buffers more than the buffer's size only after `insert_all` or `unsubscribe`

pub(crate) mod buffer;
pub(crate) mod demand;
pub(crate) mod dispatcher;

use buffer::Buffer;
use demand::Demand;
use dispatcher::Dispatcher;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// A subscriber's index in the exchange.
pub(crate) type SubscriberId = usize;

/// Subscribers that have items to take, or no more to expect.
pub(crate) type ReadySubscribers = SmallVec<[SubscriberId; 4]>;

pub(crate) struct Exchange<T> {
    partitions: Vec<Partition<T>>,
    /// By id. The ids of subscribers that left are not used again.
    subscribers: Vec<Option<Subscriber<T>>>,
    dispatcher: Dispatcher<T>,
    buffer: Buffer,
    /// Items in the buffers of all partitions.
    buffered: usize,
    closed: bool,
    ready: ReadySubscribers,
}

struct Partition<T> {
    buffered: VecDeque<T>,
    members: Vec<SubscriberId>,
}

struct Subscriber<T> {
    partition: usize,
    demand: Demand,
    requested: usize,
    inbox: VecDeque<T>,
    in_progress: usize,
    finished: usize,
}

impl<T> Exchange<T> {
    pub(crate) fn new(dispatcher: Dispatcher<T>, buffer: Buffer) -> Self {
        let partition = || Partition { buffered: VecDeque::new(), members: Vec::new() };
        Exchange {
            partitions: (0..dispatcher.partitions()).map(|_| partition()).collect(),
            subscribers: Vec::new(),
            dispatcher,
            buffer,
            buffered: 0,
            closed: false,
            ready: ReadySubscribers::new(),
        }
    }

    /// Returns the number of partitions.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Returns the partition that an item belongs to.
    pub(crate) fn partition(&self, item: &T) -> usize {
        self.dispatcher.partition(item)
    }

    /// Adds a subscriber, which requests its `max_demand`. A subscriber of a broadcast receives the buffered items and all
    /// later ones.
    pub(crate) fn subscribe(&mut self, partition: usize, demand: Demand) -> SubscriberId {
        let id = self.subscribers.len();
        self.subscribers.push(Some(Subscriber {
            partition,
            demand,
            requested: demand.max_demand(),
            inbox: VecDeque::new(),
            in_progress: 0,
            finished: 0,
        }));
        self.partitions[partition].members.push(id);
        self.flush(partition);
        id
    }

    /// Removes a subscriber. Items that it had received and not taken go to the other subscribers, before any later item.
    /// The other subscribers of a broadcast have received those items already, so they are returned to be dropped.
    pub(crate) fn unsubscribe(&mut self, id: SubscriberId) -> VecDeque<T> {
        let Some(Subscriber { partition, mut inbox, .. }) = self.subscribers[id].take() else { return VecDeque::new() };
        self.partitions[partition].members.retain(|member| *member != id);
        if !matches!(self.dispatcher, Dispatcher::Broadcast { .. }) {
            self.buffered += inbox.len();
            let buffered = &mut self.partitions[partition].buffered;
            inbox.drain(..).rev().for_each(|item| buffered.push_front(item));
        }
        self.flush(partition);
        inbox
    }

    /// Delivers or buffers an item. Returns it when the buffer is full.
    pub(crate) fn insert(&mut self, item: T) -> Result<(), T> {
        let partition = self.dispatcher.partition(&item);
        self.insert_into(partition, item)
    }

    /// Delivers or buffers an item of this partition. Returns it when the buffer is full.
    pub(crate) fn insert_into(&mut self, partition: usize, item: T) -> Result<(), T> {
        let Err(item) = self.deliver(partition, item) else { return Ok(()) };
        if self.partitions[partition].buffered.len() >= self.buffer.size {
            return Err(item);
        }
        self.partitions[partition].buffered.push_back(item);
        self.buffered += 1;
        Ok(())
    }

    /// Delivers or buffers items in their order, as many as there is room for. Leaves the others, and returns how many it
    /// accepted.
    pub(crate) fn insert_while_room(&mut self, items: &mut VecDeque<T>) -> usize {
        let before = items.len();
        while let Some(item) = items.pop_front() {
            if let Err(item) = self.insert(item) {
                items.push_front(item);
                break;
            }
        }
        before - items.len()
    }

    /// Delivers or buffers an item. Returns the item that a full buffer dropped for it.
    pub(crate) fn force(&mut self, item: T) -> Option<T> {
        let partition = self.dispatcher.partition(&item);
        let Err(item) = self.deliver(partition, item) else { return None };
        let dropped = self.buffer.force(&mut self.partitions[partition].buffered, item);
        self.buffered += usize::from(dropped.is_none());
        dropped
    }

    /// Delivers or buffers items. Returns the items that a full buffer dropped for them.
    pub(crate) fn force_all(&mut self, items: Vec<T>) -> Vec<T> {
        match self.deliver_all(items) {
            Ok(()) => Vec::new(),
            Err(items) => items.into_iter().filter_map(|item| self.force(item)).collect(),
        }
    }

    /// Delivers or buffers items, past the buffer's size if need be.
    pub(crate) fn insert_all(&mut self, items: Vec<T>) {
        let Err(items) = self.deliver_all(items) else { return };
        for item in items {
            let partition = self.dispatcher.partition(&item);
            if let Err(item) = self.deliver(partition, item) {
                self.partitions[partition].buffered.push_back(item);
                self.buffered += 1;
            }
        }
    }

    /// Returns how many items a producer may make now: those that are requested and not buffered, and never more than there
    /// is room for.
    pub(crate) fn demand(&self) -> usize {
        let demand = self.requested().saturating_sub(self.buffered);
        if self.partitions.len() == 1 {
            return demand; // All of them are delivered at once.
        }
        let room = |partition: &Partition<T>| self.buffer.size.saturating_sub(partition.buffered.len());
        demand.min(self.partitions.iter().map(room).min().unwrap_or(0))
    }

    /// Returns how many items are requested and not delivered; for a broadcast, by the slowest subscriber.
    pub(crate) fn requested(&self) -> usize {
        (0..self.partitions.len()).map(|partition| self.requested_of(partition)).sum()
    }

    fn requested_of(&self, partition: usize) -> usize {
        let members = self.partitions[partition].members.iter();
        let requested = members.filter_map(|id| self.subscribers[*id].as_ref()).map(|subscriber| subscriber.requested);
        match self.dispatcher {
            Dispatcher::Broadcast { .. } => requested.min().unwrap_or(0),
            Dispatcher::Demand | Dispatcher::Partition { .. } => requested.sum(),
        }
    }

    /// Returns how many items of a partition [`insert`](Self::insert) would accept now.
    pub(crate) fn room(&self, partition: usize) -> usize {
        match self.partitions[partition].buffered.len() {
            // Requested items need no place in the buffer.
            0 => self.buffer.size + self.requested_of(partition),
            buffered => self.buffer.size.saturating_sub(buffered),
        }
    }

    /// Takes up to `limit` items from a subscriber's inbox, and no more than a batch has.
    pub(crate) fn take(&mut self, id: SubscriberId, limit: usize) -> Vec<T> {
        let Some(subscriber) = &mut self.subscribers[id] else { return Vec::new() };
        let count = limit.min(subscriber.demand.batch()).min(subscriber.inbox.len());
        subscriber.in_progress += count;
        if count == subscriber.inbox.len() {
            return std::mem::take(&mut subscriber.inbox).into();
        }
        subscriber.inbox.drain(..count).collect()
    }

    /// Finishes `count` items of a subscriber, and requests more when a batch has been finished.
    pub(crate) fn finish(&mut self, id: SubscriberId, count: usize) {
        let Some(subscriber) = &mut self.subscribers[id] else { return };
        debug_assert!(count <= subscriber.in_progress, "only items that were taken can be finished");
        subscriber.in_progress -= count;
        subscriber.finished += count;
        let partition = subscriber.partition;
        // Buffered items are delivered at once. Only the calls of a producer have to be few.
        if subscriber.finished >= subscriber.demand.batch() || !self.partitions[partition].buffered.is_empty() {
            subscriber.requested += std::mem::take(&mut subscriber.finished);
            self.flush(partition);
        }
        self.check(id);
    }

    /// Returns how many items a subscriber has received and not finished.
    pub(crate) fn in_flight(&self, id: SubscriberId) -> usize {
        self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.inbox.len() + subscriber.in_progress)
    }

    /// Returns how many items a subscriber has taken and not finished.
    pub(crate) fn in_progress(&self, id: SubscriberId) -> usize {
        self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.in_progress)
    }

    /// Returns how many items all partitions buffer.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Closes the exchange: the caller inserts no more items. Buffered items are still delivered.
    pub(crate) fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.ready = (0..self.subscribers.len()).collect();
        }
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Returns whether a subscriber has no items to take and none to expect.
    pub(crate) fn ended(&self, id: SubscriberId) -> bool {
        self.subscribers[id].as_ref().is_none_or(|subscriber| {
            self.closed && subscriber.inbox.is_empty() && self.partitions[subscriber.partition].buffered.is_empty()
        })
    }

    /// Returns the subscribers that have become ready since the last call.
    pub(crate) fn take_ready(&mut self) -> ReadySubscribers {
        std::mem::take(&mut self.ready)
    }

    /// Delivers a partition's buffered items, as many as are requested.
    fn flush(&mut self, partition: usize) {
        while let Some(item) = self.partitions[partition].buffered.pop_front() {
            self.buffered -= 1;
            if let Err(item) = self.deliver(partition, item) {
                self.partitions[partition].buffered.push_front(item);
                self.buffered += 1;
                return;
            }
        }
        // The buffer of a closed exchange is empty: subscribers that wait for more items have to end.
        if self.closed {
            self.ready.extend(self.partitions[partition].members.iter().copied());
        }
    }

    /// Delivers all items in one piece when the only subscriber has requested all of them; else returns them.
    fn deliver_all(&mut self, items: Vec<T>) -> Result<(), Vec<T>> {
        let (Dispatcher::Demand, [id]) = (&self.dispatcher, self.partitions[0].members.as_slice()) else {
            return Err(items);
        };
        match &mut self.subscribers[*id] {
            Some(subscriber) if items.len() <= subscriber.requested => {
                subscriber.requested -= items.len();
                if subscriber.inbox.is_empty() {
                    subscriber.inbox = items.into();
                    self.ready.push(*id);
                } else {
                    subscriber.inbox.extend(items);
                }
                Ok(())
            }
            _ => Err(items),
        }
    }

    /// Puts an item into the inboxes of its receivers. Returns it when none of them has requested an item.
    fn deliver(&mut self, partition: usize, item: T) -> Result<(), T> {
        let members = &self.partitions[partition].members;
        let requested = |id: SubscriberId| self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.requested);
        if let Dispatcher::Broadcast { clone } = self.dispatcher {
            let Some((last, others)) = members.split_last() else { return Err(item) };
            if members.iter().any(|id| requested(*id) == 0) {
                return Err(item);
            }
            let (last, others): (_, SmallVec<[SubscriberId; 8]>) = (*last, others.into());
            for id in others {
                let own = clone(&item);
                self.put_into_inbox(id, own);
            }
            self.put_into_inbox(last, item);
            return Ok(());
        }
        // The first of those with the greatest demand, so that equals take turns.
        match members.iter().copied().rev().max_by_key(|id| requested(*id)) {
            Some(id) if requested(id) > 0 => {
                self.put_into_inbox(id, item);
                Ok(())
            }
            _ => Err(item),
        }
    }

    fn put_into_inbox(&mut self, id: SubscriberId, item: T) {
        if let Some(subscriber) = &mut self.subscribers[id] {
            subscriber.requested -= 1;
            subscriber.inbox.push_back(item);
            if subscriber.inbox.len() == 1 {
                self.ready.push(id);
            }
        }
    }

    fn check(&self, id: SubscriberId) {
        if let Some(s) = &self.subscribers[id] {
            debug_assert_eq!(s.requested + s.inbox.len() + s.in_progress + s.finished, s.demand.max_demand());
        }
    }
}

#[cfg(test)]
mod tests;
