//! The owner's dashboard: an overview of the store, broadcast to the owner's pages at most once a second.
//!
//! [`Dashboard::run`] is a supervised task. It reads the orders from the database only while an owner's page is open.

use crate::catalog::{Cents, Item, Level, Product};
use crate::checkout::{Order, ledger, names};
use crate::database::Database;
use crate::inventory::Inventory;
use crate::sell_out::{Progress, SellOut};
use crate::shoppers::{self, Shoppers};
use bennu::Endpoint;
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
#[derive(Clone)]
pub struct Dashboard(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    database: Database,
    inventory: Inventory,
    shoppers: Shoppers,
    sell_out: SellOut,
    /// The orders as they were read last, for the time in which the database does not answer.
    orders: Mutex<Orders>,
    /// Whether a page has joined since the last broadcast. It may have another state than the pages before it.
    has_new_page: AtomicBool,
}

impl Dashboard {
    /// Creates the dashboard of these parts.
    pub fn new(
        endpoint: Endpoint,
        database: Database,
        inventory: Inventory,
        shoppers: Shoppers,
        sell_out: SellOut,
    ) -> Self {
        let (orders, has_new_page) = (Mutex::default(), AtomicBool::new(false));
        Dashboard(Arc::new(Shared { endpoint, database, inventory, shoppers, sell_out, orders, has_new_page }))
    }

    /// Returns the overview. Without the database it has the orders that were read last.
    pub async fn overview(&self) -> Overview {
        let Shared { endpoint, database, inventory, sell_out, .. } = &*self.0;
        let mut orders = self.0.orders.lock().await;
        // While the database does not answer, the owner's pages are not made to wait for it. The inventory's next reload
        // finds out when it does.
        if database.down_since().is_none()
            && let Ok(read) = database.run(self.read_orders()).await
        {
            *orders = read;
        }
        // After the orders, for which the database may need a while.
        let shelf = inventory.snapshot();
        let down_since = database.down_since();
        Overview {
            node: endpoint.pubsub().node().to_string(),
            nodes: endpoint.pubsub().nodes().len(),
            products: shelf.products().cloned().collect(),
            items: shelf.items().map(|item| ItemRow { item: item.clone(), level: item.level() }).collect(),
            orders: orders.clone(),
            sell_out: sell_out.progress(),
            database_down_since: down_since
                .map(|since| since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64),
        }
    }

    /// Notes that a page has joined, after it has read its first state. The next broadcast follows without a change.
    pub(crate) fn add_page(&self) {
        self.0.has_new_page.store(true, Ordering::Release);
    }

    /// Broadcasts the overview and the counts of shoppers when they have changed. Never returns.
    pub async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut overview, mut counts) = (None, None);
        let has_pages = |topic| self.0.endpoint.pubsub().subscriber_count(topic) > 0;
        loop {
            ticks.tick().await;
            if self.0.has_new_page.swap(false, Ordering::AcqRel) {
                (overview, counts) = (None, None);
            }
            if has_pages(TOPIC) {
                self.broadcast_if_new(TOPIC, "overview", &mut overview, self.overview().await);
            }
            if has_pages(shoppers::TOPIC) {
                self.broadcast_if_new(shoppers::TOPIC, "shoppers", &mut counts, self.0.shoppers.counts());
            }
        }
    }

    fn broadcast_if_new<T: Serialize + PartialEq>(&self, topic: &str, event: &str, last: &mut Option<T>, current: T) {
        if last.as_ref() == Some(&current) {
            return;
        }
        if let Err(error) = self.0.endpoint.local_broadcast(topic, event, &current) {
            tracing::error!(%error, event, "could not update the owner's pages");
        }
        *last = Some(current);
    }

    async fn read_orders(&self) -> sqlx::Result<Orders> {
        let shelf = self.0.inventory.snapshot();
        let (count, revenue_cents) = ledger::totals(&self.0.database).await?;
        let latest = ledger::latest_orders(&self.0.database, LATEST).await?;
        let row = |order: &Order| OrderRow {
            number: order.id.number(),
            total_cents: order.total(),
            at: order.bought_at,
            items: names(order, &shelf),
        };
        Ok(Orders { count, revenue_cents, latest: latest.iter().map(row).collect() })
    }
}
