//! The three ways to store purchases.
//!
//! In the first two, each buyer buys one pair after the other, and the next when the one before is confirmed. All
//! three write the same rows with the same statements, to the same pool of connections.

use crate::Error;
use crate::stock::Stocked;
use sneakers_23::catalog::ItemId;
use sneakers_23::checkout::ledger::write_rows;
use sneakers_23::checkout::{Answer, CartId, Checkout, Purchase};
use sneakers_23::database::{Tx, now_ms};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The purchases of a large transaction.
const BATCH: usize = 1000;

/// A way to store purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through [`Checkout::buy`], which confirms after the commit.
    Committer,
    /// In a transaction of its own, as many at the same time as the database allows.
    Each,
    /// One connection, large transactions, without savepoints, locks or look-ups.
    Batches,
}

/// The purchases of a measurement.
pub(crate) struct Measured {
    elapsed: Duration,
    /// The times of the purchases, in order; those of the transaction in which they were stored for
    /// [`Way::Batches`].
    times: Vec<Duration>,
}

impl Way {
    pub(crate) const ALL: [Way; 3] = [Way::Committer, Way::Each, Way::Batches];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Committer => "the committer",
            Way::Each => "a transaction each",
            Way::Batches => "large transactions by hand",
        }
    }

    pub(crate) async fn measure(self, stocked: &Stocked, buyers: usize, duration: Duration) -> Result<Measured, Error> {
        match self {
            Way::Committer => committer(stocked, buyers, duration).await,
            Way::Each => each(stocked, buyers, duration).await,
            Way::Batches => batches(stocked, duration).await,
        }
    }
}

impl Measured {
    pub(crate) fn a_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let index = (self.times.len() as f64 * share) as usize;
        self.times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

async fn committer(stocked: &Stocked, buyers: usize, duration: Duration) -> Result<Measured, Error> {
    let checkout = Checkout::new(stocked.database.clone(), stocked.inventory.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(checkout.clone().run_committer());
    tasks.spawn(checkout.clone().run_resolver());
    tasks.spawn(stocked.inventory.clone().keep_current());
    buy(stocked, buyers, duration, move |purchase| {
        let checkout = checkout.clone();
        async move {
            match checkout.buy(purchase).await {
                Answer::Bought(_) => Ok(()),
                answer => Err(format!("a purchase was not completed: {answer:?}").into()),
            }
        }
    })
    .await
}

async fn each(stocked: &Stocked, buyers: usize, duration: Duration) -> Result<Measured, Error> {
    // The pool itself would reject a buyer after two seconds.
    let writers = Arc::new(Semaphore::new(stocked.engine.writers()));
    let database = stocked.database.clone();
    buy(stocked, buyers, duration, move |purchase| {
        let (writers, database) = (writers.clone(), database.clone());
        async move {
            let _writer = writers.acquire().await?;
            let mut tx = database.begin().await?;
            write(&mut tx, &[purchase]).await?;
            Ok(tx.commit().await?)
        }
    })
    .await
}

async fn batches(stocked: &Stocked, duration: Duration) -> Result<Measured, Error> {
    let cart_id = CartId::random()?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        let began = Instant::now();
        let mut tx = stocked.database.begin().await?;
        let purchases: Vec<_> = (0..BATCH).map(|n| purchase(stocked, &cart_id, n)).collect::<Result<_, _>>()?;
        write(&mut tx, &purchases).await?;
        tx.commit().await?;
        times.extend(std::iter::repeat_n(began.elapsed(), BATCH));
    }
    let elapsed = start.elapsed();
    times.sort();
    Ok(Measured { elapsed, times })
}

/// Lets each buyer buy until the time is over.
async fn buy<F>(
    stocked: &Stocked,
    buyers: usize,
    duration: Duration,
    store: impl Fn(Purchase) -> F + Clone + Send + 'static,
) -> Result<Measured, Error>
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for buyer in 0..buyers {
        let (store, snapshot, cart_id) = (store.clone(), stocked.inventory.snapshot(), CartId::random()?);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < duration {
                let item = ItemId((buyer + times.len()) as i64 % 26 + 1);
                let purchase = Purchase::new(cart_id.clone(), &[item], &snapshot)?;
                let began = Instant::now();
                store(purchase).await?;
                times.push(began.elapsed());
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(of_buyer) = tasks.join_next().await {
        times.extend(of_buyer??);
    }
    let elapsed = start.elapsed();
    times.sort();
    Ok(Measured { elapsed, times })
}

fn purchase(stocked: &Stocked, cart_id: &CartId, n: usize) -> Result<Purchase, Error> {
    let item = ItemId(n as i64 % 26 + 1);
    Ok(Purchase::new(cart_id.clone(), &[item], &stocked.inventory.snapshot())?)
}

/// Writes the orders of purchases by the statements of the store's ledger.
async fn write(tx: &mut Tx, purchases: &[Purchase]) -> Result<(), Error> {
    let orders: Vec<_> = purchases.iter().map(|purchase| purchase.order(now_ms())).collect();
    if write_rows(tx, &orders).await? { Ok(()) } else { Err("an item has no pair left".into()) }
}
