//! The checkout: carts, purchases, and the committer that stores them.
//!
//! [`Checkout::buy`] queues a purchase. The committer of the node takes all purchases that wait into one transaction, so
//! that a popular size has one writer and a commit is shared. It answers after the commit. When a commit fails, the
//! committer tries the same batch again: the ledger returns the outcomes of purchases that were stored after all.
//!
//! When the outcome stays unknown, for a dead database or a killed committer, the shopper reads so, and the resolver
//! settles the purchase later: it was stored, or it is refused for ever. Nothing is guessed.
//!
//! Two supervised tasks run it, [`Checkout::run_committer`] and [`Checkout::run_resolver`].

mod cart;
pub mod ledger;
mod purchase;
mod view;

pub use cart::{Cart, CartChange, CartError, CartId, Carts, MAX_ITEMS};
pub use purchase::{Line, Order, Outcome, Purchase, PurchaseId, PurchaseTokens, Refusal};
pub(crate) use view::{CartView, LineView, names};

use crate::database::Database;
use crate::inventory::Inventory;
use ledger::{Committed, Mode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// The purchases that wait for the committer; more are answered with [`Answer::Busy`].
const MAX_WAITING: usize = 4096;

/// The purchases of one transaction.
const MAX_BATCH: usize = 256;

/// The time for which the committer tries a failed batch again.
const RETRY_FOR: Duration = Duration::from_secs(3);

/// The time between two attempts, of the committer and of the resolver.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// The time limit of [`Checkout::buy`] for the committer's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The time limit of [`Checkout::outcome`] for the resolver's answer.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// The purchases whose outcome is unknown at the same time. One more is settled when its page sends it again.
const MAX_UNSETTLED: usize = 10_000;

/// The answer to a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All items were bought.
    Bought(Order),
    /// No item was bought.
    Refused(Refusal),
    /// The outcome is not known yet; the resolver finds it.
    Unknown,
    /// Too many purchases wait. This one was not queued; the same purchase may be sent again.
    Busy,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Bought(order) => Answer::Bought(order),
            Outcome::Refused(refusal) => Answer::Refused(refusal),
        }
    }
}

/// A purchase whose outcome was unknown and is known now.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The purchase.
    pub purchase: Purchase,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The checkout of this node. Clones share it.
#[derive(Clone)]
pub struct Checkout(Arc<Shared>);

struct Shared {
    database: Database,
    inventory: Inventory,
    queue: mpsc::Sender<Job>,
    /// The committer's end of the queue, which outlives a killed committer.
    jobs: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    unsettled: Mutex<HashMap<PurchaseId, Unsettled>>,
    has_unsettled: Notify,
    settled: broadcast::Sender<Arc<Settled>>,
}

struct Job {
    purchase: Purchase,
    answer: oneshot::Sender<Outcome>,
}

struct Unsettled {
    purchase: Purchase,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Checkout {
    /// Creates the checkout. It answers once its tasks run.
    pub fn new(database: Database, inventory: Inventory) -> Self {
        let (queue, jobs) = mpsc::channel(MAX_WAITING);
        let (settled, _) = broadcast::channel(1024);
        Checkout(Arc::new(Shared {
            database,
            inventory,
            queue,
            jobs: tokio::sync::Mutex::new(jobs),
            unsettled: Mutex::default(),
            has_unsettled: Notify::new(),
            settled,
        }))
    }

    /// Buys all items of a purchase, or none. The same purchase gets the same answer again.
    ///
    /// Returns after the commit, or after some seconds with [`Answer::Unknown`]. A caller that stops waiting does not
    /// stop the purchase.
    pub async fn buy(&self, purchase: Purchase) -> Answer {
        if purchase.lines.is_empty() {
            return Answer::Refused(Refusal::Empty);
        }
        let (answer, answered) = oneshot::channel();
        if self.0.queue.try_send(Job { purchase: purchase.clone(), answer }).is_err() {
            return Answer::Busy;
        }
        match timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(outcome)) => outcome.into(),
            // The committer was killed, or the database does not answer.
            _ => self.outcome(&purchase).await,
        }
    }

    /// Returns the outcome of a purchase that was sent before. One that is not stored is refused for ever.
    ///
    /// Returns [`Answer::Unknown`] while the database does not answer; [`Checkout::settled`] reports it later.
    pub async fn outcome(&self, purchase: &Purchase) -> Answer {
        let Some(mut outcome) = self.settle(purchase) else { return Answer::Unknown };
        match timeout(SETTLE_WITHIN, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(known)) => known.clone().map_or(Answer::Unknown, Answer::from),
            _ => Answer::Unknown,
        }
    }

    /// Subscribes to the purchases that [`Answer::Unknown`] was returned for, once their outcome is known.
    pub fn settled(&self) -> broadcast::Receiver<Arc<Settled>> {
        self.0.settled.subscribe()
    }

    /// Commits the purchases that wait, batch after batch. Never returns.
    pub async fn run_committer(self) {
        let mut jobs = self.0.jobs.lock().await;
        loop {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            jobs.recv_many(&mut batch, MAX_BATCH).await;
            fail::fail_point!("purchase-queued", |_| std::process::abort());
            self.commit(batch).await;
        }
    }

    /// Settles purchases whose outcome is unknown, as soon as the database answers. Never returns.
    pub async fn run_resolver(self) {
        loop {
            let purchases: Vec<_> = {
                let unsettled = self.0.unsettled.lock();
                unsettled.values().take(MAX_BATCH).map(|unsettled| unsettled.purchase.clone()).collect()
            };
            if purchases.is_empty() {
                self.0.has_unsettled.notified().await;
                continue;
            }
            match self.commit_once(&purchases, Mode::Settle).await {
                Ok(committed) => self.report(purchases, committed.outcomes),
                Err(_) => sleep(RETRY_EVERY).await,
            }
        }
    }

    /// Commits a batch and answers its purchases. Without a known outcome the answers are dropped, and each
    /// [`Checkout::buy`] turns to the resolver.
    async fn commit(&self, batch: Vec<Job>) {
        let (purchases, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.purchase, job.answer)).unzip();
        let give_up = Instant::now() + RETRY_FOR;
        loop {
            match self.commit_once(&purchases, Mode::Buy).await {
                Ok(Committed { outcomes, .. }) => {
                    fail::fail_point!("purchase-published", |_| std::process::abort());
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // The page may be closed, and its request dropped.
                        let _ = answer.send(outcome);
                    }
                    fail::fail_point!("purchase-answered", |_| std::process::abort());
                    return;
                }
                Err(_) if Instant::now() < give_up => sleep(RETRY_EVERY).await,
                Err(error) => {
                    let count = purchases.len();
                    tracing::error!(count, %error, "could not complete purchases: their outcome is not known yet");
                    return;
                }
            }
        }
    }

    async fn commit_once(&self, purchases: &[Purchase], mode: Mode) -> sqlx::Result<Committed> {
        let mut committed = self.0.database.run(ledger::commit(&self.0.database, purchases, mode)).await;
        match &mut committed {
            Ok(committed) => {
                let sold = std::mem::take(&mut committed.rows);
                if !sold.items.is_empty() {
                    self.0.inventory.publish(sold);
                }
            }
            // The transaction may have been committed all the same.
            Err(_) => self.0.inventory.request_reload(),
        }
        committed
    }

    /// Adds a purchase to those that the resolver settles; [`Checkout::settled`] reports its outcome. `None` when they are
    /// too many.
    pub(crate) fn settle(&self, purchase: &Purchase) -> Option<watch::Receiver<Option<Outcome>>> {
        let mut all = self.0.unsettled.lock();
        if all.len() >= MAX_UNSETTLED && !all.contains_key(&purchase.id) {
            return None;
        }
        let unsettled = all
            .entry(purchase.id.clone())
            .or_insert_with(|| Unsettled { purchase: purchase.clone(), outcome: watch::Sender::new(None) });
        let outcome = unsettled.outcome.subscribe();
        drop(all);
        self.0.has_unsettled.notify_one();
        Some(outcome)
    }

    fn report(&self, purchases: Vec<Purchase>, outcomes: Vec<Outcome>) {
        for (purchase, outcome) in purchases.into_iter().zip(outcomes) {
            let unsettled = self.0.unsettled.lock().remove(&purchase.id);
            if let Some(unsettled) = unsettled {
                unsettled.outcome.send_replace(Some(outcome.clone()));
            }
            // Without a subscriber nobody shows a page with an unknown outcome.
            let _ = self.0.settled.send(Arc::new(Settled { purchase, outcome }));
        }
    }
}
