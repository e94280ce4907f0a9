//! The ledger: orders, refusals, and the statements that write them.
//!
//! `checkout` calls [`commit`] with many purchases at once: one transaction, a savepoint for each. The answer to a
//! purchase is final, so a purchase that has an answer gets the same one again. Invariant: for every item,
//! `stocked = available + its rows in order_items`.

use super::{CartId, Line, Order, Outcome, Purchase, PurchaseId, Refusal};
use crate::catalog::{Cents, Item, ItemId};
use crate::database::{Database, Tx, lock_items, now_ms};
use crate::inventory::{Rows, Snapshot, shelf};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row, query, raw_sql};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The age at which refusals are deleted. Purchases that old are not accepted any more, see
/// [`PurchaseTokens`](super::PurchaseTokens).
const KEEP_REFUSALS: Duration = Duration::from_secs(7 * 86_400);

/// What a commit does with a purchase that has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Buys it, or refuses it with the reason.
    Buy,
    /// Refuses it as not completed, so that it cannot be bought later.
    Settle,
}

/// A committed batch.
#[derive(Debug)]
pub struct Committed {
    /// The outcomes, in the order of the purchases.
    pub outcomes: Vec<Outcome>,
    /// The items that were sold, as they are after the commit.
    pub rows: Rows,
}

/// Decides and stores the outcome of each purchase, in one transaction.
///
/// # Errors
/// [`sqlx::Error`]: the transaction was not committed, or its outcome is not known. A second call with the same
/// purchases returns the outcomes of the first if it was committed, and decides them otherwise.
pub async fn commit(database: &Database, purchases: &[Purchase], mode: Mode) -> sqlx::Result<Committed> {
    let mut tx = database.begin().await?;
    fail::fail_point!("purchase-begun", |_| std::process::abort());
    lock_items(database, &mut tx).await?;
    fail::fail_point!("purchase-locked", |_| std::process::abort());
    let mut batch = Batch::read(&mut tx, purchases).await?;
    fail::fail_point!("purchase-read", |_| std::process::abort());
    let mut outcomes = Vec::with_capacity(purchases.len());
    for purchase in purchases {
        outcomes.push(batch.outcome(&mut tx, purchase, mode).await?);
    }
    fail::fail_point!("purchase-decided", |_| std::process::abort());
    tx.commit().await?;
    fail::fail_point!("purchase-committed", |_| std::process::abort());
    Ok(Committed { outcomes, rows: Rows { items: batch.sold.into_values().collect(), ..Rows::default() } })
}

/// One transaction's knowledge of the rows that it has locked.
struct Batch {
    shelf: Snapshot,
    known: HashMap<PurchaseId, Outcome>,
    sold: BTreeMap<ItemId, Item>,
    has_savepoint: bool,
}

impl Batch {
    async fn read(tx: &mut Tx, purchases: &[Purchase]) -> sqlx::Result<Self> {
        let shelf = Snapshot::default().merge(&shelf::read_all_in(tx).await?).unwrap_or_default();
        let known = known_outcomes(tx, purchases).await?;
        Ok(Batch { shelf, known, sold: BTreeMap::new(), has_savepoint: false })
    }

    async fn outcome(&mut self, tx: &mut Tx, purchase: &Purchase, mode: Mode) -> sqlx::Result<Outcome> {
        if let Some(known) = self.known.get(&purchase.id) {
            return Ok(known.clone());
        }
        let checked = match mode {
            Mode::Buy => purchase.check(|id| self.item(id), &self.shelf),
            Mode::Settle => Err(Refusal::NotCompleted),
        };
        let outcome = match checked {
            Ok(()) => self.sell(tx, purchase).await?,
            Err(refusal) => refuse(tx, &purchase.id, refusal).await?,
        };
        self.known.insert(purchase.id.clone(), outcome.clone());
        Ok(outcome)
    }

    /// Returns an item as this transaction has left it.
    fn item(&self, id: ItemId) -> Option<&Item> {
        self.sold.get(&id).or_else(|| self.shelf.item(id))
    }

    /// Writes an order within a savepoint. A constraint of the tables that the check has not foreseen undoes this
    /// purchase only.
    async fn sell(&mut self, tx: &mut Tx, purchase: &Purchase) -> sqlx::Result<Outcome> {
        // One message to the database ends the savepoint of the purchase before and begins the next.
        let savepoint = match std::mem::replace(&mut self.has_savepoint, true) {
            false => "SAVEPOINT purchase",
            true => "RELEASE SAVEPOINT purchase; SAVEPOINT purchase",
        };
        raw_sql(savepoint).execute(&mut **tx).await?;
        fail::fail_point!("purchase-saved", |_| std::process::abort());
        let order = purchase.order(now_ms());
        match write_order(tx, &order).await {
            Ok(true) => {}
            Ok(false) => return self.undo(tx, purchase, "an item has no pair left").await,
            Err(sqlx::Error::Database(error)) if error.kind() != sqlx::error::ErrorKind::Other => {
                return self.undo(tx, purchase, error.message()).await;
            }
            Err(error) => return Err(error),
        }
        for line in &order.lines {
            let mut item = self.item(line.item_id).cloned().expect("a checked purchase has items of the shelf only");
            item.available -= 1;
            item.version += 1;
            self.sold.insert(item.id, item);
        }
        Ok(Outcome::Bought(order))
    }

    async fn undo(&self, tx: &mut Tx, purchase: &Purchase, cause: &str) -> sqlx::Result<Outcome> {
        tracing::error!(purchase = %purchase.id, cause, "a checked purchase could not be written");
        raw_sql("ROLLBACK TO SAVEPOINT purchase").execute(&mut **tx).await?;
        refuse(tx, &purchase.id, Refusal::NotCompleted).await
    }
}

/// Writes the rows of an order and takes its pairs. Returns `false` when an item has no pair left.
async fn write_order(tx: &mut Tx, order: &Order) -> sqlx::Result<bool> {
    let insert = "INSERT INTO orders (id, cart_id, total_cents, bought_at) VALUES ($1, $2, $3, $4)";
    let insert = query(insert).bind(order.id.as_str()).bind(order.cart_id.as_str());
    insert.bind(order.total().0).bind(order.bought_at).execute(&mut **tx).await?;
    fail::fail_point!("purchase-ordered", |_| std::process::abort());

    let take = format!(
        "UPDATE items SET available = available - 1, version = version + 1 WHERE available > 0 AND id IN ({})",
        placeholders(1, order.lines.len())
    );
    let mut take = query(AssertSqlSafe(take));
    for line in &order.lines {
        take = take.bind(line.item_id.0);
    }
    let taken = take.execute(&mut **tx).await?.rows_affected();
    fail::fail_point!("purchase-taken", |_| std::process::abort());

    let rows: Vec<_> = (0..order.lines.len()).map(|n| format!("($1, {})", placeholders(2 + 2 * n, 2))).collect();
    let insert = format!("INSERT INTO order_items (order_id, item_id, price_cents) VALUES {}", rows.join(", "));
    let mut insert = query(AssertSqlSafe(insert)).bind(order.id.as_str());
    for line in &order.lines {
        insert = insert.bind(line.item_id.0).bind(line.price.0);
    }
    insert.execute(&mut **tx).await?;
    fail::fail_point!("purchase-written", |_| std::process::abort());
    Ok(taken == order.lines.len() as u64)
}

async fn refuse(tx: &mut Tx, id: &PurchaseId, refusal: Refusal) -> sqlx::Result<Outcome> {
    let insert = "INSERT INTO refusals (id, reason, refused_at) VALUES ($1, $2, $3)";
    let reason = serde_json::to_string(&refusal).map_err(|error| sqlx::Error::Encode(error.into()))?;
    query(insert).bind(id.as_str()).bind(reason).bind(now_ms()).execute(&mut **tx).await?;
    Ok(Outcome::Refused(refusal))
}

/// Reads the outcomes that these purchases already have.
async fn known_outcomes(tx: &mut Tx, purchases: &[Purchase]) -> sqlx::Result<HashMap<PurchaseId, Outcome>> {
    let Some(first) = purchases.first() else { return Ok(HashMap::new()) };
    // The number of parameters is a power of four, so that a connection prepares few different statements.
    let mut count = 1;
    while count < purchases.len() {
        count *= 4;
    }
    let ids = placeholders(1, count);
    let select = format!(
        "SELECT id, CAST(NULL AS TEXT) FROM orders WHERE id IN ({ids})
         UNION ALL SELECT id, reason FROM refusals WHERE id IN ({ids})"
    );
    let mut select = query(AssertSqlSafe(select));
    for n in 0..count {
        select = select.bind(purchases.get(n).unwrap_or(first).id.as_str());
    }
    let mut known = HashMap::new();
    for row in select.fetch_all(&mut **tx).await? {
        let id = PurchaseId::from_database(row.try_get(0)?);
        let outcome = match row.try_get::<Option<String>, _>(1)? {
            Some(reason) => Outcome::Refused(refusal(&reason)?),
            None => Outcome::Bought(read_order(tx, &id).await?.ok_or(sqlx::Error::RowNotFound)?),
        };
        known.insert(id, outcome);
    }
    Ok(known)
}

fn refusal(reason: &str) -> sqlx::Result<Refusal> {
    serde_json::from_str(reason).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Returns `$FIRST, …` for this many parameters.
fn placeholders(first: usize, count: usize) -> String {
    let all: Vec<_> = (first..first + count).map(|n| format!("${n}")).collect();
    all.join(", ")
}

const ORDER: &str = "SELECT o.id, o.cart_id, o.bought_at, i.item_id, i.price_cents FROM orders o
    JOIN order_items i ON i.order_id = o.id WHERE o.id = $1 ORDER BY i.item_id";

async fn read_order(tx: &mut Tx, id: &PurchaseId) -> sqlx::Result<Option<Order>> {
    Ok(orders(&query(ORDER).bind(id.as_str()).fetch_all(&mut **tx).await?)?.pop())
}

/// Returns an order.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn order(database: &Database, id: &PurchaseId) -> sqlx::Result<Option<Order>> {
    Ok(orders(&query(ORDER).bind(id.as_str()).fetch_all(&*database.pool()).await?)?.pop())
}

/// Returns the newest orders, the newest first.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn latest_orders(database: &Database, count: i64) -> sqlx::Result<Vec<Order>> {
    let select = "SELECT o.id, o.cart_id, o.bought_at, i.item_id, i.price_cents
        FROM (SELECT * FROM orders ORDER BY bought_at DESC, id LIMIT $1) o
        JOIN order_items i ON i.order_id = o.id ORDER BY o.bought_at DESC, o.id, i.item_id";
    orders(&query(select).bind(count).fetch_all(&*database.pool()).await?)
}

/// Returns the number of all orders and their sum.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn totals(database: &Database) -> sqlx::Result<(i64, Cents)> {
    let select = "SELECT COUNT(*), CAST(COALESCE(SUM(total_cents), 0) AS BIGINT) FROM orders";
    let row = query(select).fetch_one(&*database.pool()).await?;
    Ok((row.try_get(0)?, Cents(row.try_get(1)?)))
}

/// Deletes the refusals of purchases that are too old to be sent again.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn delete_old_refusals(database: &Database) -> sqlx::Result<()> {
    let oldest = now_ms() - KEEP_REFUSALS.as_millis() as i64;
    query("DELETE FROM refusals WHERE refused_at < $1").bind(oldest).execute(&*database.pool()).await.map(drop)
}

/// Groups rows of the same order, which follow each other.
fn orders(rows: &[AnyRow]) -> sqlx::Result<Vec<Order>> {
    let mut orders: Vec<Order> = Vec::new();
    for row in rows {
        let id = PurchaseId::from_database(row.try_get(0)?);
        if orders.last().is_none_or(|order| order.id != id) {
            let cart_id = CartId::from_database(row.try_get(1)?);
            orders.push(Order { id, cart_id, lines: Vec::new(), bought_at: row.try_get(2)? });
        }
        let line = Line { item_id: ItemId(row.try_get(3)?), price: Cents(row.try_get(4)?) };
        orders.last_mut().expect("an order was pushed").lines.push(line);
    }
    Ok(orders)
}
