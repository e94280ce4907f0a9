//! One node of the store: everything that its pages, channels and commands share.
//!
//! `serve` and the tests create it with [`Store::open`]. [`Store::start`] starts its supervised tasks.

use crate::announcer::Announcer;
use crate::checkout::{Carts, Checkout, PurchaseTokens};
use crate::dashboard::Dashboard;
use crate::database::{Database, OpenError};
use crate::inventory::Inventory;
use crate::sell_out::SellOut;
use crate::shoppers::Shoppers;
use app_service::password::Password;
use app_service::supervisor::Supervisor;
use bennu::error::BroadcastError;
use bennu::{Endpoint, SessionCookie};

/// The socket id of all shoppers, with which all their connections are closed.
pub const PRODUCT_SOCKETS: &str = "product_socket";

/// A node of the store. Clones share it.
#[derive(Clone)]
pub struct Store {
    /// The sockets' endpoint.
    pub endpoint: Endpoint,
    /// The database.
    pub database: Database,
    /// The products and the stock, as this node knows them.
    pub inventory: Inventory,
    /// The purchases.
    pub checkout: Checkout,
    /// The signed carts of shoppers.
    pub carts: Carts,
    /// The signed purchases of checkout pages.
    pub purchases: PurchaseTokens,
    /// The session cookie of pages.
    pub session: SessionCookie,
    /// The owner's password.
    pub owner: Password,
    /// The shoppers of all nodes.
    pub shoppers: Shoppers,
    /// The simulation that buys everything.
    pub sell_out: SellOut,
    /// The owner's overview.
    pub dashboard: Dashboard,
    announcer: Announcer,
}

impl Store {
    /// Opens the store of a database. `endpoint` must have the secret and the PubSub that all nodes have.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(database: Database, endpoint: Endpoint, owner: Password) -> Result<Self, OpenError> {
        let inventory = Inventory::load(database.clone(), endpoint.pubsub().clone()).await;
        let inventory = inventory.map_err(OpenError::Connect)?;
        let checkout = Checkout::new(database.clone(), inventory.clone());
        let shoppers = Shoppers::start(&endpoint);
        let sell_out = SellOut::new(checkout.clone(), inventory.clone());
        let purchases = PurchaseTokens::new(endpoint.secret().clone());
        Ok(Store {
            carts: Carts::new(endpoint.secret().clone()),
            session: SessionCookie::new("_sneakers_23", "sneakers_23 session"),
            owner,
            dashboard: Dashboard::new(
                endpoint.clone(),
                database.clone(),
                inventory.clone(),
                shoppers.clone(),
                sell_out.clone(),
            ),
            announcer: Announcer::new(endpoint.clone(), purchases.clone(), &inventory, &checkout),
            purchases,
            shoppers,
            sell_out,
            endpoint,
            database,
            inventory,
            checkout,
        })
    }

    /// Starts the tasks of the node. Their names are those of the command `kill`.
    pub fn start(&self, supervisor: &Supervisor) {
        let Store { database, inventory, checkout, sell_out, dashboard, announcer, .. } = self.clone();
        supervisor.start("database", move || database.clone().keep_open());
        supervisor.start("inventory", {
            let inventory = inventory.clone();
            move || inventory.clone().keep_current()
        });
        supervisor.start("replication", move || inventory.clone().replicate());
        supervisor.start("committer", {
            let checkout = checkout.clone();
            move || checkout.clone().run_committer()
        });
        supervisor.start("resolver", move || checkout.clone().run_resolver());
        supervisor.start("sell-out", move || sell_out.clone().run());
        supervisor.start("announcer", move || announcer.clone().run());
        supervisor.start("dashboard", move || dashboard.clone().run());
    }

    /// Closes all connections of shoppers, on all nodes. Their clients connect again by themselves.
    ///
    /// # Errors
    /// [`BroadcastError`] when other nodes cannot be reached.
    pub fn disconnect_shoppers(&self) -> Result<(), BroadcastError> {
        self.endpoint.disconnect(PRODUCT_SOCKETS)
    }
}
