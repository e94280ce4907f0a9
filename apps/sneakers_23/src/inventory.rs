//! The inventory: the current products and stock of this node, for pages and channels to read without the database.
//!
//! [`Inventory`] holds the newest [`Snapshot`]. Three sources renew it: the changes that this node commits, the notices
//! of other nodes, and a reload of all rows every two seconds. Each row has a version, and the newer one wins, so the
//! order of the sources does not matter: a node that missed a notice is right again after the next reload. Purchases
//! never trust the snapshot; the database decides.
//!
//! Two supervised tasks run it, [`Inventory::keep_current`] and [`Inventory::replicate`]. Their state is the snapshot,
//! which outlives them.

pub mod shelf;
mod snapshot;

pub use snapshot::{Event, Rows, Snapshot};

use crate::catalog::{Cents, ItemId, ProductId};
use crate::database::Database;
use bennu::pubsub::PubSub;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The PubSub topic of the notices between nodes.
const TOPIC: &str = "sneakers_23:inventory";

/// The time between two reloads, after which a node that missed a notice is right again.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// The most pairs of one restock.
pub const MAX_RESTOCK: i64 = 10_000;

/// The highest price.
pub const MAX_PRICE: Cents = Cents(1_000_000);

/// The inventory of this node. Clones share it.
#[derive(Clone)]
pub struct Inventory(Arc<Shared>);

struct Shared {
    database: Database,
    pubsub: PubSub,
    snapshot: watch::Sender<Arc<Snapshot>>,
    reload: Notify,
}

/// A change that the owner asked for and that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such product.
    #[error("there is no product {0}")]
    NoSuchProduct(ProductId),
    /// There is no such item.
    #[error("there is no item {0}")]
    NoSuchItem(ItemId),
    /// The amount of a restock is out of its range.
    #[error("{0} is not a number of pairs to add: it must be from 1 to {MAX_RESTOCK}")]
    Amount(i64),
    /// The price is out of its range.
    #[error("{0} is not a price in cents: it must be from 1 to {max}", max = MAX_PRICE.0)]
    Price(i64),
    /// The database did not answer. The change may have happened or not; a reload shows it.
    #[error("the database does not answer, try again: {0}")]
    Database(#[from] sqlx::Error),
}

impl Inventory {
    /// Loads the inventory from the database.
    ///
    /// # Errors
    /// [`sqlx::Error`]
    pub async fn load(database: Database, pubsub: PubSub) -> sqlx::Result<Self> {
        let snapshot = Snapshot::of(&shelf::read_all(&database).await?);
        let (snapshot, _) = watch::channel(Arc::new(snapshot));
        Ok(Inventory(Arc::new(Shared { database, pubsub, snapshot, reload: Notify::new() })))
    }

    /// Returns the newest snapshot. It never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.borrow().clone()
    }

    /// Subscribes to the events from now on.
    pub fn changes(&self) -> Changes {
        let mut snapshots = self.0.snapshot.subscribe();
        let seen = snapshots.borrow_and_update().clone();
        Changes { snapshots, seen }
    }

    /// Releases a product on all nodes. Releasing it twice is safe.
    ///
    /// # Errors
    /// [`ChangeError`]
    pub async fn release(&self, id: ProductId) -> Result<(), ChangeError> {
        let released = self.0.database.run(shelf::release(&self.0.database, id)).await?;
        let product = released.ok_or(ChangeError::NoSuchProduct(id))?;
        self.publish(Rows { products: vec![product], ..Rows::default() });
        fail::fail_point!("release-published", |_| std::process::abort());
        Ok(())
    }

    /// Sets the price of a product, from 1 to [`MAX_PRICE`].
    ///
    /// # Errors
    /// [`ChangeError`]
    pub async fn set_price(&self, id: ProductId, price: Cents) -> Result<(), ChangeError> {
        if !(1..=MAX_PRICE.0).contains(&price.0) {
            return Err(ChangeError::Price(price.0));
        }
        let changed = self.0.database.run(shelf::set_price(&self.0.database, id, price)).await?;
        let product = changed.ok_or(ChangeError::NoSuchProduct(id))?;
        self.publish(Rows { products: vec![product], ..Rows::default() });
        Ok(())
    }

    /// Adds pairs to an item, from 1 to [`MAX_RESTOCK`].
    ///
    /// # Errors
    /// [`ChangeError`]
    pub async fn restock(&self, id: ItemId, amount: i64) -> Result<(), ChangeError> {
        if !(1..=MAX_RESTOCK).contains(&amount) {
            return Err(ChangeError::Amount(amount));
        }
        let changed = self.0.database.run(shelf::restock(&self.0.database, id, amount)).await?;
        let item = changed.ok_or(ChangeError::NoSuchItem(id))?;
        self.publish(Rows { items: vec![item], ..Rows::default() });
        Ok(())
    }

    /// Makes committed rows current on this node, and sends them to the others.
    pub(crate) fn publish(&self, rows: Rows) {
        self.merge(&rows);
        // Other nodes also reload by themselves, so a notice that cannot be sent is late and not lost.
        if let Err(error) = self.0.pubsub.broadcast(TOPIC, rows) {
            tracing::warn!(%error, "could not send a change of the inventory to other nodes");
        }
    }

    /// Reloads all rows every two seconds, and at once after an unknown outcome of a change. Never returns.
    pub async fn keep_current(self) {
        loop {
            self.reload().await;
            let _ = tokio::time::timeout(RELOAD_EVERY, self.0.reload.notified()).await;
        }
    }

    /// Merges the notices of other nodes. Never returns.
    pub async fn replicate(self) {
        let mut notices = self.0.pubsub.subscribe::<Rows>(TOPIC);
        self.request_reload();
        loop {
            match notices.recv().await {
                Ok(rows) => self.merge(&rows),
                Err(lagged) => {
                    tracing::warn!(%lagged, "reloading the inventory");
                    self.request_reload();
                }
            }
        }
    }

    /// Reloads soon, for a task that does not know the outcome of a change.
    pub(crate) fn request_reload(&self) {
        self.0.reload.notify_one();
    }

    /// Reloads all rows now. Without an answer of the database the snapshot stays as it is.
    pub async fn reload(&self) {
        if let Ok(rows) = self.0.database.run(shelf::read_all(&self.0.database)).await {
            self.merge(&rows);
        }
    }

    fn merge(&self, rows: &Rows) {
        self.0.snapshot.send_if_modified(|snapshot| match snapshot.merge(rows) {
            Some(merged) => {
                *snapshot = Arc::new(merged);
                true
            }
            None => false,
        });
    }
}

/// A subscription to the events of an inventory.
///
/// It compares snapshots, so that a slow subscriber receives every difference, though not every step between: an item
/// that sold out and was not restocked since is always reported.
pub struct Changes {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    seen: Arc<Snapshot>,
}

impl Changes {
    /// Waits for the next change. Returns the new snapshot and the events that lead to it; the list is empty when only
    /// numbers within a level have changed. Pending once the inventory is gone.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> (Arc<Snapshot>, Vec<Event>) {
        if self.snapshots.changed().await.is_err() {
            return std::future::pending().await;
        }
        let current = self.snapshots.borrow_and_update().clone();
        let events = current.events_since(&self.seen);
        self.seen = Arc::clone(&current);
        (current, events)
    }
}
