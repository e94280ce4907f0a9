//! The sell-out simulation: buys random items of the released products until nothing is left, as many shoppers would.
//!
//! Each pair is a purchase of its own through the committer, so that the simulation appears in the ledger, and competes
//! with real shoppers.

use crate::catalog::{Item, ItemId};
use crate::checkout::{Answer, CartId, Checkout, Purchase};
use crate::inventory::{Inventory, Snapshot};
use futures::future::join_all;
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

/// The pairs that are bought at once, and the time between.
const PAIRS: usize = 200;
const EVERY: Duration = Duration::from_millis(250);

/// The progress of a running simulation, in pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The pairs that are left.
    pub left: i64,
    /// The pairs that were left at the start.
    pub total: i64,
}

/// A simulation that could not begin: there is nothing to buy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing to sell out: no released product has a pair left")]
pub struct NothingToSell;

/// The simulation of this node. Clones share it.
#[derive(Clone)]
pub struct SellOut(Arc<Shared>);

struct Shared {
    checkout: Checkout,
    inventory: Inventory,
    /// The pairs at the start; `None` while nothing runs.
    total: Mutex<Option<i64>>,
    begin: Notify,
}

impl SellOut {
    pub(crate) fn new(checkout: Checkout, inventory: Inventory) -> Self {
        SellOut(Arc::new(Shared { checkout, inventory, total: Mutex::new(None), begin: Notify::new() }))
    }

    /// Begins to buy. A simulation that runs already continues.
    ///
    /// # Errors
    /// [`NothingToSell`]
    pub fn begin(&self) -> Result<(), NothingToSell> {
        let total = self.left();
        if total == 0 {
            return Err(NothingToSell);
        }
        self.0.total.lock().get_or_insert(total);
        self.0.begin.notify_one();
        Ok(())
    }

    /// Stops buying, after the purchases that are under way.
    pub fn stop(&self) {
        *self.0.total.lock() = None;
    }

    /// Returns the progress; `None` while nothing runs.
    pub fn progress(&self) -> Option<Progress> {
        let total = (*self.0.total.lock())?;
        Some(Progress { left: self.left(), total })
    }

    /// Buys after each [`SellOut::begin`]. Never returns.
    pub async fn run(self) {
        loop {
            if self.progress().is_none() {
                self.0.begin.notified().await;
            }
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.progress().is_some_and(|progress| progress.left > 0) {
                ticks.tick().await;
                self.buy_some().await;
            }
            self.stop();
        }
    }

    async fn buy_some(&self) {
        let shelf = self.0.inventory.snapshot();
        let Ok(cart_id) = CartId::random() else { return };
        let purchases = pick(&shelf, PAIRS).into_iter().filter_map(|item| {
            let purchase = Purchase::new(cart_id.clone(), &[item], &shelf).ok()?;
            Some(self.0.checkout.buy(purchase))
        });
        let answers = join_all(purchases).await;
        if answers.iter().any(|answer| matches!(answer, Answer::Unknown | Answer::Busy)) {
            tracing::warn!("the sell-out waits for the database");
        }
    }

    fn left(&self) -> i64 {
        for_sale(&self.0.inventory.snapshot()).map(|item| item.available).sum()
    }
}

fn for_sale(shelf: &Snapshot) -> impl Iterator<Item = &Item> {
    let is_released = |item: &&Item| shelf.product(item.product_id).is_some_and(|product| product.released);
    shelf.items().filter(is_released).filter(|item| item.available > 0)
}

/// Picks this many random pairs, and never more of an item than it has.
fn pick(shelf: &Snapshot, pairs: usize) -> Vec<ItemId> {
    let each = |item: &Item| std::iter::repeat_n(item.id, usize::try_from(item.available).unwrap_or_default());
    let mut left: Vec<ItemId> = for_sale(shelf).flat_map(each).collect();
    left.partial_shuffle(&mut rand::rng(), pairs).0.to_vec()
}
