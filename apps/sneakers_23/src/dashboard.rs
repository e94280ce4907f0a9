//! The owner's dashboard: an overview of the store, broadcast to the owner's pages at most once a second.
//!
//! [`Dashboard::run`] is a supervised task. It reads the orders from the database only while an owner's page is open.

use crate::catalog::{Cents, Item, Level, Product};
use crate::checkout::Order;
use crate::database::ledger;
use crate::inventory::Snapshot;
use crate::sell_out::Progress;
use crate::shoppers;
use crate::store::Store;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

/// The topic of the overview.
pub const TOPIC: &str = "admin:store";

/// The time between two broadcasts.
const EVERY: Duration = Duration::from_secs(1);

/// The newest orders that the overview lists.
const LATEST: i64 = 20;

/// The overview of the store, as the owner's page gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    node: String,
    nodes: usize,
    products: Vec<Product>,
    items: Vec<ItemRow>,
    orders: Orders,
    sell_out: Option<Progress>,
    /// The time since which the database does not answer, in milliseconds since 1970.
    database_down_since: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ItemRow {
    #[serde(flatten)]
    item: Item,
    level: Level,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Orders {
    count: i64,
    revenue_cents: Cents,
    latest: Vec<OrderRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct OrderRow {
    number: String,
    total_cents: Cents,
    at: i64,
    items: Vec<String>,
}

/// The dashboard of this node. Clones share it.
#[derive(Clone, Default)]
pub struct Dashboard {
    /// The orders as they were read last, for the time in which the database does not answer.
    orders: Arc<Mutex<Orders>>,
    /// Whether a page has joined since the last broadcast. It may have another state than the pages before it.
    has_new_page: Arc<AtomicBool>,
}

impl Dashboard {
    /// Returns the overview. Without the database it has the orders that were read last.
    pub async fn overview(&self, store: &Store) -> Overview {
        let mut orders = self.orders.lock().await;
        // While the database does not answer, the owner's pages are not made to wait for it. The inventory's next reload
        // finds out when it does.
        if store.database.down_since().is_none()
            && let Ok(read) = store.database.run(read_orders(store)).await
        {
            *orders = read;
        }
        // After the orders, for which the database may need a while.
        let shelf = store.inventory.snapshot();
        let down_since = store.database.down_since();
        Overview {
            node: store.endpoint.pubsub().node().to_string(),
            nodes: store.endpoint.pubsub().nodes().len(),
            products: shelf.products().cloned().collect(),
            items: shelf.items().map(|item| ItemRow { item: item.clone(), level: item.level() }).collect(),
            orders: orders.clone(),
            sell_out: store.sell_out.progress(),
            database_down_since: down_since
                .map(|since| since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64),
        }
    }

    /// Notes that a page has joined, after it has read its first state. The next broadcast follows without a change.
    pub(crate) fn add_page(&self) {
        self.has_new_page.store(true, Ordering::Release);
    }

    /// Broadcasts the overview and the counts of shoppers when they have changed. Never returns.
    pub async fn run(self, store: Store) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut overview, mut counts) = (None, None);
        loop {
            ticks.tick().await;
            if self.has_new_page.swap(false, Ordering::AcqRel) {
                (overview, counts) = (None, None);
            }
            if store.endpoint.pubsub().subscriber_count(TOPIC) > 0 {
                let current = Some(self.overview(&store).await);
                if overview != current {
                    broadcast(&store, TOPIC, "overview", &current);
                    overview = current;
                }
            }
            if store.endpoint.pubsub().subscriber_count(shoppers::TOPIC) > 0 {
                let current = Some(store.shoppers.counts());
                if counts != current {
                    broadcast(&store, shoppers::TOPIC, "shoppers", &current);
                    counts = current;
                }
            }
        }
    }
}

fn broadcast<T: Serialize>(store: &Store, topic: &str, event: &str, payload: &T) {
    if let Err(error) = store.endpoint.local_broadcast(topic, event, payload) {
        tracing::error!(%error, event, "could not update the owner's pages");
    }
}

async fn read_orders(store: &Store) -> sqlx::Result<Orders> {
    let shelf = store.inventory.snapshot();
    let (count, revenue_cents) = ledger::totals(&store.database).await?;
    let latest = ledger::latest_orders(&store.database, LATEST).await?;
    let row = |order: &Order| OrderRow {
        number: order.id.number(),
        total_cents: order.total(),
        at: order.bought_at,
        items: names(order, &shelf),
    };
    Ok(Orders { count, revenue_cents, latest: latest.iter().map(row).collect() })
}

/// Returns the items of an order in words, as `Shift Runner 9.5`.
pub fn names(order: &Order, shelf: &Snapshot) -> Vec<String> {
    let name = |id| match shelf.item_with_product(id) {
        Some((item, product)) => format!("{} {}", product.name, item.size),
        None => format!("item {id}"),
    };
    order.lines.iter().map(|line| name(line.item_id)).collect()
}
