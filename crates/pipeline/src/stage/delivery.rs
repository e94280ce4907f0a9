//! Deliveries: the items of a source, with their acknowledgement.
//!
//! A source's task makes them, workers settle them, and the task reports the settled ones to the source. Each delivery is
//! settled exactly once: acknowledged, or released when its last copy is dropped without that.

use super::source::Source;
use parking_lot::Mutex;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// An item of a [`Source`]. It derefs to the item.
///
/// Call [`ack`](Self::ack) when the work is done: the source then removes the item. A delivery that is dropped without it, by
/// an error, a panic, or a process that ends, was not delivered: it is released to the source, which may fetch it again. So
/// each item is worked at at least once.
pub struct Delivery<S: Source> {
    item: S::Item,
    receipt: Arc<Receipt<S::Id>>,
}

impl<S: Source> Delivery<S> {
    pub(super) fn new(id: S::Id, item: S::Item, receipts: Arc<Receipts<S::Id>>) -> Self {
        receipts.state.lock().unsettled += 1;
        Delivery { item, receipt: Arc::new(Receipt { id: Mutex::new(Some(id)), receipts }) }
    }

    /// Acknowledges the item. The source receives the acknowledgement soon, together with others.
    ///
    /// This does not wait for the source: when the process ends before the source has stored the acknowledgement, the item is
    /// delivered again.
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

/// Clones share one acknowledgement: the first `ack` counts, and the item is released when the last clone is dropped without
/// one.
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
    /// `None` once it is settled.
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

/// The receipts of a source's deliveries.
pub(super) struct Receipts<Id> {
    state: Mutex<State<Id>>,
}

struct State<Id> {
    settled: Settled<Id>,
    /// Deliveries that are neither acknowledged nor released.
    unsettled: usize,
    waker: Option<Waker>,
}

/// Deliveries that are settled and not reported to the source.
pub(super) struct Settled<Id> {
    pub(super) acked: Vec<Id>,
    pub(super) released: Vec<Id>,
}

impl<Id> Default for Settled<Id> {
    fn default() -> Self {
        Settled { acked: Vec::new(), released: Vec::new() }
    }
}

impl<Id> Settled<Id> {
    pub(super) fn is_empty(&self) -> bool {
        self.acked.is_empty() && self.released.is_empty()
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.acked.extend(more.acked);
        self.released.extend(more.released);
    }
}

impl<Id> Receipts<Id> {
    pub(super) fn new() -> Self {
        Receipts { state: Mutex::new(State { settled: Settled::default(), unsettled: 0, waker: None }) }
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

    /// Waits for settled deliveries, and takes all of them. Cancellation safe.
    pub(super) async fn settled(&self) -> Settled<Id> {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.settled.is_empty() {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(std::mem::take(&mut state.settled))
        })
        .await
    }

    /// Returns how many deliveries are neither acknowledged nor released.
    pub(super) fn unsettled(&self) -> usize {
        self.state.lock().unsettled
    }

    /// Puts back deliveries that were taken and could not be reported.
    pub(super) fn put_back(&self, settled: Settled<Id>) {
        self.state.lock().settled.extend(settled);
    }

    /// Returns whether every delivery was settled and taken.
    pub(super) fn all_taken(&self) -> bool {
        let state = self.state.lock();
        state.unsettled == 0 && state.settled.is_empty()
    }
}
