//! The rows of the database, read by SQL and not through the store, and their comparison with the answers that the
//! buyers got.

use crate::Error;
use crate::sale::{Answer, Purchase};
use crate::shopper::Levels;
use sqlx::{AnyPool, Row, query};
use std::collections::BTreeMap;

pub(crate) struct Ledger {
    sizes: Vec<Size>,
    /// By the id of the order.
    orders: BTreeMap<String, Order>,
}

struct Size {
    item: i64,
    stocked: i64,
    available: i64,
    sold: i64,
}

struct Order {
    cart_id: String,
    items: Vec<i64>,
}

/// Gives each size this number of pairs.
pub(crate) async fn stock(url: &str, pairs: i64) -> Result<(), Error> {
    let pool = open(url).await?;
    query("UPDATE items SET stocked = $1, available = $1, version = version + 1").bind(pairs).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

pub(crate) async fn read(url: &str) -> Result<Ledger, Error> {
    let pool = open(url).await?;
    let sizes = query(
        "SELECT i.id, i.stocked, i.available, COUNT(o.order_id) FROM items i
         LEFT JOIN order_items o ON o.item_id = i.id GROUP BY i.id, i.stocked, i.available ORDER BY i.id",
    );
    let mut ledger = Ledger { sizes: Vec::new(), orders: BTreeMap::new() };
    for row in sizes.fetch_all(&pool).await? {
        let [item, stocked, available, sold] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
        ledger.sizes.push(Size { item, stocked, available, sold });
    }
    let orders = query(
        "SELECT o.id, o.cart_id, i.item_id FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
         ORDER BY o.id, i.item_id",
    );
    for row in orders.fetch_all(&pool).await? {
        let (cart_id, item): (String, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
        let order = ledger.orders.entry(row.try_get(0)?).or_insert(Order { cart_id, items: Vec::new() });
        order.items.extend(item);
    }
    pool.close().await;
    Ok(ledger)
}

async fn open(url: &str) -> Result<AnyPool, Error> {
    sqlx::any::install_default_drivers();
    Ok(AnyPool::connect(url).await?)
}

impl Ledger {
    /// Returns a line for each contradiction: between the rows, or between the rows and an answer.
    pub(crate) fn compare(&self, pairs: i64, purchases: &[Purchase]) -> Vec<String> {
        let mut faults = Vec::new();
        for Size { item, stocked, available, sold } in &self.sizes {
            if *stocked != pairs || sold + available != pairs || *available < 0 {
                faults.push(format!("item {item}: {sold} sold, {available} left, {stocked} stocked, of {pairs}"));
            }
        }
        let mut bought = 0;
        for Purchase { cart_id, items, answer, .. } in purchases {
            match answer {
                Answer::Bought(id) => {
                    bought += 1;
                    match self.orders.get(id) {
                        Some(order) if order.cart_id == *cart_id && order.items == *items => {}
                        Some(order) => faults.push(format!("order {id} has {:?} in place of {items:?}", order.items)),
                        None => faults.push(format!("order {id} has a success page and no rows")),
                    }
                }
                Answer::Refused(reason) => {
                    if let Some((id, _)) = self.orders.iter().find(|(_, order)| order.cart_id == *cart_id) {
                        faults.push(format!("order {id} was refused as {reason} and has rows"));
                    }
                }
            }
        }
        if bought != self.orders.len() {
            faults.push(format!("{} orders have rows and {bought} a success page", self.orders.len()));
        }
        faults
    }

    /// Returns the level of each size, as shoppers see it.
    pub(crate) fn levels(&self) -> Levels {
        let level = |available| match available {
            ..=0 => "out",
            1..150 => "low",
            150..500 => "medium",
            _ => "high",
        };
        self.sizes.iter().map(|size| (size.item, level(size.available).to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn purchase(cart_id: &str, answer: Answer) -> Purchase {
        let (cart_id, time) = (cart_id.to_owned(), Duration::ZERO);
        Purchase { cart_id, items: vec![1], answer, time, was_unknown: false, failed_requests: 0 }
    }

    fn ledger(available: i64, orders: &[(&str, &str)]) -> Ledger {
        let orders =
            orders.iter().map(|(id, cart)| (id.to_string(), Order { cart_id: cart.to_string(), items: vec![1] }));
        let orders: BTreeMap<_, _> = orders.collect();
        Ledger { sizes: vec![Size { item: 1, stocked: 2, available, sold: orders.len() as i64 }], orders }
    }

    #[test]
    fn rows_and_answers_that_agree_have_no_faults() {
        let purchases = [purchase("c", Answer::Bought("o".to_owned())), purchase("d", Answer::Refused("x".to_owned()))];
        assert_eq!(ledger(1, &[("o", "c")]).compare(2, &purchases), Vec::<String>::new());
    }

    #[test]
    fn each_contradiction_is_a_fault() {
        let bought = || [purchase("c", Answer::Bought("o".to_owned()))];
        let refused = [purchase("c", Answer::Refused("sold_out".to_owned()))];
        let oversold = ledger(2, &[("o", "c")]).compare(2, &bought());
        assert_eq!(oversold, ["item 1: 1 sold, 2 left, 2 stocked, of 2"]);
        let lost = ledger(2, &[]).compare(2, &bought());
        assert_eq!(lost, ["order o has a success page and no rows", "0 orders have rows and 1 a success page"]);
        let foreign = ledger(1, &[("o", "d")]).compare(2, &bought());
        assert_eq!(foreign, ["order o has [1] in place of [1]"]);
        let charged = ledger(1, &[("o", "c")]).compare(2, &refused);
        let expected = ["order o was refused as sold_out and has rows", "1 orders have rows and 0 a success page"];
        assert_eq!(charged, expected);
    }
}
