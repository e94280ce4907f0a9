//! Where a producer's items meet its subscribers' demand. Pure: no task, no clock, no waker.
//!
//! Used by the outlet, which puts a lock around it. A subscriber asks; what it asked for and has not got is `asked`.
//! An item goes to a subscriber that has asked, or is held until one does. The subscriber takes from its inbox, works, and
//! finishes; what it has finished it asks for again, once enough of it has come together.
//!
//! Invariants, checked in debug builds and by the tests:
//! - for each subscriber, `asked + inbox + in hand + finished = max_demand`: it never gets more than it asked for
//! - a partition holds items only while nobody can receive them; so order is kept
//! - a partition holds more than the buffer's size only where that was asked for (`insert_all`, `unsubscribe`)

use crate::buffer::Buffer;
use crate::demand::Demand;
use crate::dispatcher::Dispatcher;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// A subscriber's place in the exchange.
pub(crate) type SubscriberId = usize;

/// Subscribers that have something to take, or nothing more to expect.
pub(crate) type News = SmallVec<[SubscriberId; 4]>;

/// How much one of several takes that share an inbox.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    /// Never more.
    pub(crate) most: usize,
    /// What is not worth sharing; of more it takes half, so that others find something too.
    pub(crate) few: usize,
}

pub(crate) struct Exchange<T> {
    partitions: Vec<Partition<T>>,
    /// By their ids, which are not used again.
    subscribers: Vec<Option<Subscriber<T>>>,
    dispatcher: Dispatcher<T>,
    buffer: Buffer,
    held: usize,
    closed: bool,
    news: News,
}

struct Partition<T> {
    held: VecDeque<T>,
    members: Vec<SubscriberId>,
}

struct Subscriber<T> {
    partition: usize,
    demand: Demand,
    asked: usize,
    inbox: VecDeque<T>,
    in_hand: usize,
    finished: usize,
}

impl<T> Exchange<T> {
    pub(crate) fn new(dispatcher: Dispatcher<T>, buffer: Buffer) -> Self {
        let partition = || Partition { held: VecDeque::new(), members: Vec::new() };
        Exchange {
            partitions: (0..dispatcher.partitions()).map(|_| partition()).collect(),
            subscribers: Vec::new(),
            dispatcher,
            buffer,
            held: 0,
            closed: false,
            news: News::new(),
        }
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// A new subscriber, which has asked for its `max_demand`. Of a broadcast it gets what comes from now on, and what is
    /// held.
    pub(crate) fn subscribe(&mut self, partition: usize, demand: Demand) -> SubscriberId {
        let id = self.subscribers.len();
        let inbox = VecDeque::new();
        let subscriber = Subscriber { partition, demand, asked: demand.max_demand(), inbox, in_hand: 0, finished: 0 };
        self.subscribers.push(Some(subscriber));
        self.partitions[partition].members.push(id);
        self.flush(partition);
        id
    }

    /// Ends a subscription. What it was given and has not taken goes to others, before anything that came later. Of a
    /// broadcast the others have it already, so it comes back to be dropped.
    pub(crate) fn unsubscribe(&mut self, id: SubscriberId) -> VecDeque<T> {
        let Some(Subscriber { partition, mut inbox, .. }) = self.subscribers[id].take() else { return VecDeque::new() };
        self.partitions[partition].members.retain(|member| *member != id);
        if !matches!(self.dispatcher, Dispatcher::Broadcast { .. }) {
            self.held += inbox.len();
            let held = &mut self.partitions[partition].held;
            inbox.drain(..).rev().for_each(|item| held.push_front(item));
        }
        self.flush(partition);
        inbox
    }

    /// Delivers an item or holds it; gives it back when there is no room.
    pub(crate) fn insert(&mut self, item: T) -> Result<(), T> {
        let partition = self.dispatcher.partition(&item);
        let Err(item) = self.deliver(partition, item) else { return Ok(()) };
        if self.partitions[partition].held.len() >= self.buffer.size {
            return Err(item);
        }
        self.partitions[partition].held.push_back(item);
        self.held += 1;
        Ok(())
    }

    /// Delivers items or holds them, in their order, as many as there is room for. Leaves the others, and says how many went.
    pub(crate) fn insert_some(&mut self, items: &mut VecDeque<T>) -> usize {
        let before = items.len();
        while let Some(item) = items.pop_front() {
            if let Err(item) = self.insert(item) {
                items.push_front(item);
                break;
            }
        }
        before - items.len()
    }

    /// Delivers an item or holds it; gives back what was dropped for it.
    pub(crate) fn force(&mut self, item: T) -> Option<T> {
        let partition = self.dispatcher.partition(&item);
        let Err(item) = self.deliver(partition, item) else { return None };
        let dropped = self.buffer.force(&mut self.partitions[partition].held, item);
        self.held += usize::from(dropped.is_none());
        dropped
    }

    /// Delivers items or holds them; gives back what was dropped for them.
    pub(crate) fn force_all(&mut self, items: Vec<T>) -> Vec<T> {
        match self.hand_over(items) {
            Ok(()) => Vec::new(),
            Err(items) => items.into_iter().filter_map(|item| self.force(item)).collect(),
        }
    }

    /// Delivers items or holds them, however many they are.
    pub(crate) fn insert_all(&mut self, items: Vec<T>) {
        let Err(items) = self.hand_over(items) else { return };
        for item in items {
            let partition = self.dispatcher.partition(&item);
            if let Err(item) = self.deliver(partition, item) {
                self.partitions[partition].held.push_back(item);
                self.held += 1;
            }
        }
    }

    /// How many items a producer may make now: what was asked for and is not held, and never more than there is room for.
    pub(crate) fn demand(&self) -> usize {
        let wanted = self.asked().saturating_sub(self.held);
        if self.partitions.len() == 1 {
            return wanted; // All of it is delivered at once.
        }
        let room = |partition: &Partition<T>| self.buffer.size.saturating_sub(partition.held.len());
        wanted.min(self.partitions.iter().map(room).min().unwrap_or(0))
    }

    /// What subscribers have asked for and not got; of a broadcast, what the slowest has asked for.
    pub(crate) fn asked(&self) -> usize {
        let asked = self.subscribers.iter().flatten().map(|subscriber| subscriber.asked);
        match self.dispatcher {
            Dispatcher::Broadcast { .. } => asked.min().unwrap_or(0),
            Dispatcher::Demand | Dispatcher::Partition { .. } => asked.sum(),
        }
    }

    /// How many items would be taken now, where there is one partition.
    pub(crate) fn room(&self) -> usize {
        // An item that was asked for needs no place.
        self.buffer.size.saturating_sub(self.held) + if self.held == 0 { self.asked() } else { 0 }
    }

    /// Takes up to `limit` items, and no more than a batch has.
    pub(crate) fn take(&mut self, id: SubscriberId, limit: usize) -> Vec<T> {
        let Some(subscriber) = &mut self.subscribers[id] else { return Vec::new() };
        let count = limit.min(subscriber.demand.batch()).min(subscriber.inbox.len());
        subscriber.in_hand += count;
        if count == subscriber.inbox.len() {
            return std::mem::take(&mut subscriber.inbox).into();
        }
        subscriber.inbox.drain(..count).collect()
    }

    /// Takes a share of what is there.
    pub(crate) fn take_share(&mut self, id: SubscriberId, size: Share, share: &mut VecDeque<T>) {
        let Some(subscriber) = &mut self.subscribers[id] else { return };
        let there = subscriber.inbox.len();
        let count = size.most.min(there.div_ceil(2).max(size.few)).min(there);
        subscriber.in_hand += count;
        share.extend(subscriber.inbox.drain(..count));
    }

    /// Puts back what was taken and not begun, before what came later.
    pub(crate) fn put_back(&mut self, id: SubscriberId, items: &mut VecDeque<T>) {
        let Some(subscriber) = &mut self.subscribers[id] else { return };
        subscriber.in_hand -= items.len();
        while let Some(item) = items.pop_back() {
            subscriber.inbox.push_front(item);
        }
        self.news.push(id);
        self.check(id);
    }

    /// Says that a subscriber is done with so many items, and asks for more when it is time.
    pub(crate) fn finish(&mut self, id: SubscriberId, count: usize) {
        let Some(subscriber) = &mut self.subscribers[id] else { return };
        debug_assert!(count <= subscriber.in_hand, "only what was taken can be finished");
        subscriber.in_hand -= count;
        subscriber.finished += count;
        let partition = subscriber.partition;
        // What is held costs nobody anything to deliver; only a producer that is asked for it should be asked seldom.
        if subscriber.finished >= subscriber.demand.batch() || !self.partitions[partition].held.is_empty() {
            subscriber.asked += std::mem::take(&mut subscriber.finished);
            self.flush(partition);
        }
        if self.closed && self.ended(id) {
            self.news.push(id);
        }
        self.check(id);
    }

    /// What a subscriber was given and has not finished.
    pub(crate) fn in_flight(&self, id: SubscriberId) -> usize {
        self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.inbox.len() + subscriber.in_hand)
    }

    /// What a subscriber has taken and not finished.
    pub(crate) fn in_hand(&self, id: SubscriberId) -> usize {
        self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.in_hand)
    }

    /// How many items are held.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// From now on nothing is inserted any more.
    pub(crate) fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.news = (0..self.subscribers.len()).collect();
        }
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Whether a subscriber has nothing to take and nothing to expect. What it has in hand it may put back.
    pub(crate) fn ended(&self, id: SubscriberId) -> bool {
        self.subscribers[id].as_ref().is_none_or(|subscriber| {
            let nothing_here = subscriber.inbox.is_empty() && subscriber.in_hand == 0;
            self.closed && nothing_here && self.partitions[subscriber.partition].held.is_empty()
        })
    }

    /// Makes it news that a subscriber has something to take or nothing to expect, if it is so.
    pub(crate) fn remind(&mut self, id: SubscriberId) {
        if self.has_more(id) || self.ended(id) {
            self.news.push(id);
        }
    }

    /// Whether a subscriber has something to take.
    pub(crate) fn has_more(&self, id: SubscriberId) -> bool {
        self.subscribers[id].as_ref().is_some_and(|subscriber| !subscriber.inbox.is_empty())
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Those that have got something since this was last called.
    pub(crate) fn news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Delivers what a partition holds, as far as it was asked for.
    fn flush(&mut self, partition: usize) {
        while let Some(item) = self.partitions[partition].held.pop_front() {
            self.held -= 1;
            if let Err(item) = self.deliver(partition, item) {
                self.partitions[partition].held.push_front(item);
                self.held += 1;
                return;
            }
        }
        // The last item of a closed exchange is gone: whoever waits for more learns that there is none.
        if self.closed {
            self.news.extend(self.partitions[partition].members.iter().copied());
        }
    }

    /// Delivers all of it in one piece, where one subscriber has asked for all of it; else gives it back.
    fn hand_over(&mut self, items: Vec<T>) -> Result<(), Vec<T>> {
        let (Dispatcher::Demand, [id]) = (&self.dispatcher, self.partitions[0].members.as_slice()) else {
            return Err(items);
        };
        match &mut self.subscribers[*id] {
            Some(subscriber) if items.len() <= subscriber.asked => {
                subscriber.asked -= items.len();
                if subscriber.inbox.is_empty() {
                    subscriber.inbox = items.into();
                    self.news.push(*id);
                } else {
                    subscriber.inbox.extend(items);
                }
                Ok(())
            }
            _ => Err(items),
        }
    }

    /// Puts an item into the inbox of who gets it; gives it back when nobody has asked.
    fn deliver(&mut self, partition: usize, item: T) -> Result<(), T> {
        let members = &self.partitions[partition].members;
        let asked = |id: SubscriberId| self.subscribers[id].as_ref().map_or(0, |subscriber| subscriber.asked);
        if let Dispatcher::Broadcast { clone } = self.dispatcher {
            let Some((last, others)) = members.split_last() else { return Err(item) };
            if members.iter().any(|id| asked(*id) == 0) {
                return Err(item);
            }
            let (last, others): (_, SmallVec<[SubscriberId; 8]>) = (*last, others.into());
            for id in others {
                let own = clone(&item);
                self.give(id, own);
            }
            self.give(last, item);
            return Ok(());
        }
        // The first of those that have asked for most, so that equals take turns.
        match members.iter().copied().rev().max_by_key(|id| asked(*id)) {
            Some(id) if asked(id) > 0 => {
                self.give(id, item);
                Ok(())
            }
            _ => Err(item),
        }
    }

    fn give(&mut self, id: SubscriberId, item: T) {
        if let Some(subscriber) = &mut self.subscribers[id] {
            subscriber.asked -= 1;
            subscriber.inbox.push_back(item);
            if subscriber.inbox.len() == 1 {
                self.news.push(id);
            }
        }
    }

    fn check(&self, id: SubscriberId) {
        if let Some(s) = &self.subscribers[id] {
            debug_assert_eq!(s.asked + s.inbox.len() + s.in_hand + s.finished, s.demand.max_demand());
        }
    }
}

#[cfg(test)]
mod tests;
