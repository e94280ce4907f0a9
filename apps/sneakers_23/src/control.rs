//! The commands of the owner's terminal to the running server, over the control socket.
//!
//! `command` parses a [`Request`] and sends it, and the server answers with [`answer`].

use crate::catalog::{Cents, ItemId, Product, ProductId};
use crate::checkout::{ledger, names};
use crate::inventory::{ChangeError, Snapshot};
use crate::store::Store;
use app_service::supervisor::Supervisor;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// The name of this application for the control socket.
pub(crate) const APP: &str = "sneakers_23";

/// The orders that the command `orders` prints.
const ORDERS: i64 = 20;

/// A command to the server.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Releases a product: release 1
    #[command(allow_negative_numbers = true)]
    Release { product: ProductId },
    /// Adds pairs to an item: restock 7 100
    #[command(allow_negative_numbers = true)]
    Restock { item: ItemId, amount: i64 },
    /// Sets the price of a product, in cents: price 1 12000
    #[command(allow_negative_numbers = true)]
    Price { product: ProductId, cents: i64 },
    /// Buys random items of the released products until nothing is left
    SellOut,
    /// Stops the sell-out
    StopSellOut,
    /// Prints the newest orders and the revenue
    Orders,
    /// Prints products and stock
    Stock,
    /// Kills a task of the server, which is started again: kill inventory
    Kill { task: String },
}

/// Executes a command. Returns the text to print, or the text of the error.
pub(crate) async fn answer(request: Request, store: &Store, supervisor: &Supervisor) -> Result<String, String> {
    tracing::info!(?request, "command");
    let change = |result: Result<(), ChangeError>| result.map(|()| "ok".to_owned()).map_err(|error| error.to_string());
    match request {
        Request::Release { product } => change(store.inventory.release(product).await),
        Request::Restock { item, amount } => change(store.inventory.restock(item, amount).await),
        Request::Price { product, cents } => change(store.inventory.set_price(product, Cents(cents)).await),
        Request::SellOut => store.sell_out.begin().map(|()| "ok".to_owned()).map_err(|error| error.to_string()),
        Request::StopSellOut => {
            store.sell_out.stop();
            Ok("ok".to_owned())
        }
        Request::Orders => {
            store.database.run(orders(store)).await.map_err(|error| format!("the database does not answer: {error}"))
        }
        Request::Stock => Ok(stock(&store.inventory.snapshot())),
        Request::Kill { task } => kill(&task, store, supervisor),
    }
}

fn kill(task: &str, store: &Store, supervisor: &Supervisor) -> Result<String, String> {
    if task == "endpoint" {
        store.disconnect_shoppers().map_err(|error| error.to_string())?;
        return Ok("closed all connections of shoppers".to_owned());
    }
    match supervisor.kill(task) {
        true => Ok(format!("killed {task}")),
        false => Err(format!("there is no task {task:?}: there are endpoint, {}", supervisor.names().join(", "))),
    }
}

async fn orders(store: &Store) -> sqlx::Result<String> {
    let shelf = store.inventory.snapshot();
    let (count, revenue) = ledger::totals(&store.database).await?;
    let mut lines = vec![format!("{count} orders, {revenue}")];
    for order in ledger::latest_orders(&store.database, ORDERS).await? {
        lines.push(format!(
            "{}  {:>9}  {}",
            order.id.number(),
            order.total().to_string(),
            names(&order, &shelf).join(", ")
        ));
    }
    Ok(lines.join("\n"))
}

fn stock(shelf: &Snapshot) -> String {
    let mut lines = Vec::new();
    for product in shelf.products() {
        let Product { id, name, price, released, .. } = product;
        let state = if *released { "released" } else { "coming soon" };
        lines.push(format!("product {id}  {name}, {price}, {state}"));
        for item in shelf.items_of(*id) {
            let (level, left, sold) = (item.level().name(), item.available, item.sold());
            lines.push(format!(
                "  item {:>2}  size {:>4}  {left:>5} left  {sold:>5} sold  {level}",
                item.id.0, item.size
            ));
        }
    }
    lines.join("\n")
}
