//! The ledger: orders, refusals, and the statements that write them.
//!
//! `checkout` calls [`commit`] with many purchases at once. One transaction reads the stock under a lock, decides each
//! purchase in memory, and writes all rows by few statements. The answer to a purchase is final, so a purchase that has
//! an answer gets the same one again. Invariant: for every item, `stocked = available + its rows in order_items`.

use super::{CartId, Line, Order, Outcome, Purchase, PurchaseId, Refusal};
use crate::catalog::{Cents, Item, ItemId};
use crate::database::{Database, Tx, lock_items, now_ms};
use crate::inventory::{Rows, Snapshot, shelf};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row, query, raw_sql};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The age at which refusals are deleted. Purchases that old are not accepted any more, see
/// [`PurchaseTokens`](super::PurchaseTokens).
const KEEP_REFUSALS: Duration = Duration::from_secs(7 * 86_400);

/// The orders whose items one statement writes: with 26 items each, 19,968 parameters, of 32,766 that SQLite takes.
const MAX_ORDERS_OF_A_STATEMENT: usize = 256;

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
    purchases.iter().for_each(|purchase| batch.decide(purchase, mode));
    fail::fail_point!("purchase-decided", |_| std::process::abort());
    batch.write(&mut tx).await?;
    fail::fail_point!("purchase-stored", |_| std::process::abort());
    tx.commit().await?;
    fail::fail_point!("purchase-committed", |_| std::process::abort());
    let outcomes = purchases.iter().map(|purchase| batch.outcomes[&purchase.id].clone()).collect();
    Ok(Committed { outcomes, rows: Rows { items: batch.sold.into_values().collect(), ..Rows::default() } })
}

/// The purchases of one transaction, which has locked the rows of all items: the rows that it has read, and those that it
/// will write.
struct Batch {
    shelf: Snapshot,
    /// The items that are sold, as this transaction leaves them.
    sold: BTreeMap<ItemId, Item>,
    outcomes: HashMap<PurchaseId, Outcome>,
    orders: Vec<Order>,
    refusals: Vec<(PurchaseId, Refusal)>,
}

impl Batch {
    async fn read(tx: &mut Tx, purchases: &[Purchase]) -> sqlx::Result<Self> {
        let shelf = Snapshot::of(&shelf::read_all_by(tx).await?);
        let outcomes = known_outcomes(tx, purchases).await?;
        Ok(Batch { shelf, sold: BTreeMap::new(), outcomes, orders: Vec::new(), refusals: Vec::new() })
    }

    /// Decides a purchase, unless it has an outcome already.
    fn decide(&mut self, purchase: &Purchase, mode: Mode) {
        if self.outcomes.contains_key(&purchase.id) {
            return;
        }
        let checked = match mode {
            Mode::Buy => purchase.check(|id| self.item(id), &self.shelf),
            Mode::Settle => Err(Refusal::NotCompleted),
        };
        match checked {
            Ok(()) => {
                let order = purchase.order(now_ms());
                self.take(&order);
                self.outcomes.insert(order.id.clone(), Outcome::Bought(order.clone()));
                self.orders.push(order);
            }
            Err(refusal) => self.refuse(purchase.id.clone(), refusal),
        }
    }

    /// Returns an item as this transaction leaves it.
    fn item(&self, id: ItemId) -> Option<&Item> {
        self.sold.get(&id).or_else(|| self.shelf.item(id))
    }

    fn take(&mut self, order: &Order) {
        for line in &order.lines {
            let mut item = self.item(line.item_id).cloned().expect("a checked purchase has items of the shelf only");
            item.available -= 1;
            item.version += 1;
            self.sold.insert(item.id, item);
        }
    }

    fn refuse(&mut self, id: PurchaseId, refusal: Refusal) {
        self.outcomes.insert(id.clone(), Outcome::Refused(refusal.clone()));
        self.refusals.push((id, refusal));
    }

    /// Writes the orders together. A constraint of the tables that no check has foreseen would undo all of them: then
    /// each order is written by itself, and only those that break a constraint are refused.
    async fn write(&mut self, tx: &mut Tx) -> sqlx::Result<()> {
        if !write_orders(tx, &self.orders).await? {
            self.sold.clear();
            for order in std::mem::take(&mut self.orders) {
                if write_orders(tx, std::slice::from_ref(&order)).await? {
                    self.take(&order);
                } else {
                    tracing::error!(purchase = %order.id, "a checked purchase could not be written");
                    self.refuse(order.id, Refusal::NotCompleted);
                }
            }
        }
        write_refusals(tx, &self.refusals).await
    }
}

/// Writes orders within a savepoint, and takes their pairs. Returns `false`, and has written nothing, when a constraint
/// of the tables is broken or an item has too few pairs.
async fn write_orders(tx: &mut Tx, orders: &[Order]) -> sqlx::Result<bool> {
    if orders.is_empty() {
        return Ok(true);
    }
    raw_sql("SAVEPOINT orders").execute(&mut **tx).await?;
    fail::fail_point!("purchase-saved", |_| std::process::abort());
    let written = match write_rows(tx, orders).await {
        Err(sqlx::Error::Database(error)) if error.kind() != sqlx::error::ErrorKind::Other => false,
        written => written?,
    };
    let end = if written { "RELEASE SAVEPOINT orders" } else { "ROLLBACK TO SAVEPOINT orders" };
    raw_sql(end).execute(&mut **tx).await?;
    Ok(written)
}

/// Writes the rows of orders, at most 8,000, and takes their pairs. Returns `false` when an item has too few
/// pairs. The benchmark of purchases uses it too, to measure the same statements in other transactions.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn write_rows(tx: &mut Tx, orders: &[Order]) -> sqlx::Result<bool> {
    let insert = insert_rows("orders (id, cart_id, total_cents, bought_at)", orders.len(), 4);
    let mut insert = query(AssertSqlSafe(insert)).persistent(false);
    for order in orders {
        insert = insert.bind(order.id.as_str()).bind(order.cart_id.as_str());
        insert = insert.bind(order.total().0).bind(order.bought_at);
    }
    insert.execute(&mut **tx).await?;
    fail::fail_point!("purchase-ordered", |_| std::process::abort());

    let mut pairs: BTreeMap<ItemId, i64> = BTreeMap::new();
    orders.iter().flat_map(|order| &order.lines).for_each(|line| *pairs.entry(line.item_id).or_default() += 1);
    // With casts, since PostgreSQL would take the parameters of a SELECT for texts.
    let taken =
        (0..pairs.len()).map(|n| format!("SELECT CAST(${} AS BIGINT), CAST(${} AS BIGINT)", 2 * n + 1, 2 * n + 2));
    let take = format!(
        "WITH taken (id, pairs) AS ({})
         UPDATE items SET available = available - taken.pairs, version = version + taken.pairs
         FROM taken WHERE items.id = taken.id AND items.available >= taken.pairs",
        taken.collect::<Vec<_>>().join(" UNION ALL ")
    );
    let mut take = query(AssertSqlSafe(take));
    for (item, count) in &pairs {
        take = take.bind(item.0).bind(*count);
    }
    let are_enough = take.execute(&mut **tx).await?.rows_affected() == pairs.len() as u64;
    fail::fail_point!("purchase-taken", |_| std::process::abort());

    for orders in orders.chunks(MAX_ORDERS_OF_A_STATEMENT) {
        let count = orders.iter().map(|order| order.lines.len()).sum();
        let insert = insert_rows("order_items (order_id, item_id, price_cents)", count, 3);
        let mut insert = query(AssertSqlSafe(insert)).persistent(false);
        for (order, line) in orders.iter().flat_map(|order| order.lines.iter().map(move |line| (order, line))) {
            insert = insert.bind(order.id.as_str()).bind(line.item_id.0).bind(line.price.0);
        }
        insert.execute(&mut **tx).await?;
    }
    fail::fail_point!("purchase-written", |_| std::process::abort());
    Ok(are_enough)
}

async fn write_refusals(tx: &mut Tx, refusals: &[(PurchaseId, Refusal)]) -> sqlx::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let insert = insert_rows("refusals (id, reason, refused_at)", refusals.len(), 3);
    let mut insert = query(AssertSqlSafe(insert)).persistent(false);
    for (id, refusal) in refusals {
        let reason = serde_json::to_string(refusal).map_err(|error| sqlx::Error::Encode(error.into()))?;
        insert = insert.bind(id.as_str()).bind(reason).bind(now_ms());
    }
    insert.execute(&mut **tx).await.map(drop)
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
        let id = PurchaseId(row.try_get(0)?);
        let outcome = match row.try_get::<Option<String>, _>(1)? {
            Some(reason) => Outcome::Refused(refusal(&reason)?),
            None => Outcome::Bought(order_by(tx, &id).await?.ok_or(sqlx::Error::RowNotFound)?),
        };
        known.insert(id, outcome);
    }
    Ok(known)
}

fn refusal(reason: &str) -> sqlx::Result<Refusal> {
    serde_json::from_str(reason).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Returns the statement that inserts this many rows into the columns of a table.
fn insert_rows(table: &str, rows: usize, columns: usize) -> String {
    let rows: Vec<_> = (0..rows).map(|row| format!("({})", placeholders(1 + row * columns, columns))).collect();
    format!("INSERT INTO {table} VALUES {}", rows.join(", "))
}

/// Returns `$FIRST, …` for this many parameters.
fn placeholders(first: usize, count: usize) -> String {
    let all: Vec<_> = (first..first + count).map(|n| format!("${n}")).collect();
    all.join(", ")
}

const ORDER: &str = "SELECT o.id, o.cart_id, o.bought_at, i.item_id, i.price_cents FROM orders o
    JOIN order_items i ON i.order_id = o.id WHERE o.id = $1 ORDER BY i.item_id";

async fn order_by(connection: &mut AnyConnection, id: &PurchaseId) -> sqlx::Result<Option<Order>> {
    Ok(orders(&query(ORDER).bind(id.as_str()).fetch_all(connection).await?)?.pop())
}

/// Returns an order.
///
/// # Errors
/// [`sqlx::Error`]
pub async fn order(database: &Database, id: &PurchaseId) -> sqlx::Result<Option<Order>> {
    order_by(&mut *database.pool().acquire().await?, id).await
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
        let id = PurchaseId(row.try_get(0)?);
        if orders.last().is_none_or(|order| order.id != id) {
            let cart_id = CartId(row.try_get(1)?);
            orders.push(Order { id, cart_id, lines: Vec::new(), bought_at: row.try_get(2)? });
        }
        let line = Line { item_id: ItemId(row.try_get(3)?), price: Cents(row.try_get(4)?) };
        orders.last_mut().expect("an order was pushed").lines.push(line);
    }
    Ok(orders)
}
