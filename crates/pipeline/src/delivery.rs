//! Items that somebody waits to hear of: what a source's stage sends on, and the way back to the source.
//!
//! Each delivery is settled exactly once: acknowledged, or released when it goes without that. The source's task
//! takes what was settled and tells the source.

use crate::source::Source;
use parking_lot::Mutex;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// An item of a [`Source`]. It derefs to the item.
///
/// When the work is done, call [`ack`](Self::ack): the source then forgets the item. A delivery that is dropped without
/// it, by an error, a panic, or a process that ends, was not delivered: the source is told to release it, and brings it
/// again when it sees fit. So each item is worked at at least once.
pub struct Delivery<S: Source> {
    item: S::Item,
    receipt: Arc<Receipt<S::Id>>,
}

impl<S: Source> Delivery<S> {
    pub(crate) fn new(id: S::Id, item: S::Item, receipts: Arc<Receipts<S::Id>>) -> Self {
        receipts.state.lock().unsettled += 1;
        Delivery { item, receipt: Arc::new(Receipt { id: Mutex::new(Some(id)), receipts }) }
    }

    /// Says that the work is done. The source is told soon, together with others.
    ///
    /// This does not wait for it: when the process ends before the source has noted it, the item comes again.
    pub fn ack(self) {
        if let Some(id) = self.receipt.id.lock().take() {
            self.receipt.receipts.settle(id, |settled| &mut settled.acked);
        }
    }
}

impl<S: Source> Deref for Delivery<S> {
    type Target = S::Item;

    fn deref(&self) -> &S::Item {
        &self.item
    }
}

/// Copies are of one delivery: the first `ack` counts, and it is released when the last of them goes without one.
impl<S: Source<Item: Clone>> Clone for Delivery<S> {
    fn clone(&self) -> Self {
        Delivery { item: self.item.clone(), receipt: self.receipt.clone() }
    }
}

impl<S: Source<Item: fmt::Debug>> fmt::Debug for Delivery<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delivery").field(&self.item).finish()
    }
}

struct Receipt<Id> {
    id: Mutex<Option<Id>>,
    receipts: Arc<Receipts<Id>>,
}

impl<Id> Drop for Receipt<Id> {
    fn drop(&mut self) {
        if let Some(id) = self.id.get_mut().take() {
            self.receipts.settle(id, |settled| &mut settled.released);
        }
    }
}

/// What became of a source's deliveries.
pub(crate) struct Receipts<Id> {
    state: Mutex<State<Id>>,
}

struct State<Id> {
    settled: Settled<Id>,
    /// Deliveries that somebody holds.
    unsettled: usize,
    waker: Option<Waker>,
}

/// Deliveries that the source has not been told of.
pub(crate) struct Settled<Id> {
    pub(crate) acked: Vec<Id>,
    pub(crate) released: Vec<Id>,
}

impl<Id> Settled<Id> {
    pub(crate) fn none() -> Self {
        Settled { acked: Vec::new(), released: Vec::new() }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.acked.is_empty() && self.released.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.acked.extend(more.acked);
        self.released.extend(more.released);
    }
}

impl<Id> Receipts<Id> {
    pub(crate) fn new() -> Self {
        Receipts { state: Mutex::new(State { settled: Settled::none(), unsettled: 0, waker: None }) }
    }

    fn settle(&self, id: Id, list: impl FnOnce(&mut Settled<Id>) -> &mut Vec<Id>) {
        let mut state = self.state.lock();
        list(&mut state.settled).push(id);
        state.unsettled -= 1;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was settled since the last time; waits until there is something.
    pub(crate) async fn settled(&self) -> Settled<Id> {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.settled.is_none() {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(std::mem::replace(&mut state.settled, Settled::none()))
        })
        .await
    }

    /// Deliveries that somebody holds.
    pub(crate) fn unsettled(&self) -> usize {
        self.state.lock().unsettled
    }

    /// Gives back what was taken and could not be told.
    pub(crate) fn put_back(&self, settled: Settled<Id>) {
        self.state.lock().settled.extend(settled);
    }

    /// Whether every delivery was settled and taken.
    pub(crate) fn all_taken(&self) -> bool {
        let state = self.state.lock();
        state.unsettled == 0 && state.settled.is_none()
    }
}
