//! A store on the test kit: a node with its tasks and sockets, without pages.

use super::DEADLINE;
use app_service::password::Password;
use app_service::supervisor::Supervisor;
use bennu::pubsub::PubSub;
use bennu::token::Secret;
use bennu::{ConnectInfo, Endpoint};
use bennu_testkit::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use sneakers_23::catalog::{ItemId, ProductId};
use sneakers_23::checkout::{Answer, CartId, Purchase};
use sneakers_23::database::{Database, now_ms};
use sneakers_23::inventory::Snapshot;
use sneakers_23::inventory::shelf;
use sneakers_23::socket::{AdminSocket, ProductSocket};
use sneakers_23::store::Store;
use std::ops::Deref;
use std::sync::Arc;
use tokio::time::timeout;

/// A store on the test kit. Its database is in memory.
pub(crate) struct Shop {
    pub(crate) test: ChannelTest<Store>,
    pub(crate) supervisor: Supervisor,
}

/// The event `cart`, and the reply to a change, with exactly these fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CartView {
    pub(crate) items: Vec<Line>,
    pub(crate) serialized: String,
    pub(crate) subtotal_cents: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) product_id: i64,
    pub(crate) name: String,
    pub(crate) size: String,
    pub(crate) price_cents: i64,
    pub(crate) out: bool,
}

impl CartView {
    pub(crate) fn ids(&self) -> Vec<i64> {
        self.items.iter().map(|line| line.id).collect()
    }

    /// Returns the items that are shown as sold out.
    pub(crate) fn out(&self) -> Vec<i64> {
        self.items.iter().filter(|line| line.out).map(|line| line.id).collect()
    }
}

impl Deref for Shop {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.test.state()
    }
}

impl Shop {
    /// Opens a store whose products are not released, and starts its tasks. Time is real, as its database is.
    pub(crate) async fn open() -> Self {
        let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
        Shop::of(database, PubSub::local()).await
    }

    /// Opens a store whose products are released.
    pub(crate) async fn open_released() -> Self {
        let database = sneakers_23::database::open("sqlite::memory:").await.unwrap();
        for product in [1, 2] {
            shelf::release(&database, ProductId(product)).await.unwrap();
        }
        Shop::of(database, PubSub::local()).await
    }

    /// Opens a node of a store.
    pub(crate) async fn of(database: Database, pubsub: PubSub) -> Self {
        let shop = Shop::idle(database, pubsub).await;
        tokio::time::resume();
        shop.start(&shop.supervisor);
        shop
    }

    /// Opens a store that runs no task, in virtual time: the inventory stays as the database is now.
    pub(crate) async fn idle(database: Database, pubsub: PubSub) -> Self {
        let secret = Secret::new("a secret that only the tests of the store have").unwrap();
        let endpoint = Endpoint::builder(secret).pubsub(pubsub).build();
        let (password, _) = Password::random().unwrap();
        let store = Store::open(database, endpoint.clone(), password).await.unwrap();
        Shop { test: ChannelTest::with_endpoint(endpoint).with_state(store), supervisor: Supervisor::new() }
    }

    pub(crate) fn shelf(&self) -> Arc<Snapshot> {
        self.inventory.snapshot()
    }

    /// Connects a page of the shopper with this cart.
    pub(crate) fn page(&self, cart: &CartId) -> TestSocket<ProductSocket> {
        self.test.socket(ProductSocket { cart_id: Some(cart.clone()) })
    }

    /// Joins the cart of a shopper in a new tab, and returns the cart that the tab gets first.
    pub(crate) async fn tab(&self, cart: &CartId, serialized: Option<&str>) -> (TestChannel<ProductSocket>, CartView) {
        self.tab_at(cart, "/", serialized).await
    }

    /// As [`Shop::tab`], at another page of the store.
    pub(crate) async fn tab_at(
        &self,
        cart: &CartId,
        page: &str,
        serialized: Option<&str>,
    ) -> (TestChannel<ProductSocket>, CartView) {
        let params = json!({ "serialized": serialized, "page": page, "page_loaded_at": now_ms() });
        let tab = self.page(cart).join(&topic(cart), params).await.unwrap();
        let view = assert_push!(tab, "cart", view => view);
        (tab, view)
    }

    /// Connects a page of the owner.
    pub(crate) async fn owner(&self) -> TestSocket<AdminSocket> {
        let token = self.endpoint.sign(SIGNED_IN, &signed_in("a login", now_ms() + 60_000)).unwrap();
        let params = json!({ "token": token });
        self.test.connect_with(params, session("a login", now_ms() + 60_000)).await.unwrap()
    }

    /// Buys an item as another shopper.
    pub(crate) async fn sell(&self, item: ItemId) {
        let wanted = Purchase::new(CartId::random().unwrap(), &[item], &self.shelf()).unwrap();
        let answer = self.checkout.buy(wanted).await;
        assert!(matches!(answer, Answer::Bought(_)), "{answer:?}");
    }

    /// Buys all pairs of an item.
    pub(crate) async fn sell_all(&self, item: ItemId) {
        let shelf = self.shelf();
        let left = shelf.item(item).unwrap().available;
        let wanted = (0..left).map(|_| Purchase::new(CartId::random().unwrap(), &[item], &shelf).unwrap());
        futures::future::join_all(wanted.map(|purchase| self.checkout.buy(purchase))).await;
        assert_eq!(self.shelf().item(item).unwrap().available, 0);
    }

    /// Returns an item with pairs left, and another one of the same product.
    pub(crate) fn two_in_stock(&self) -> [ItemId; 2] {
        let shelf = self.shelf();
        let mut items = super::in_stock(&shelf).map(|item| item.id);
        [items.next().unwrap(), items.next().unwrap()]
    }

    /// Waits until a condition holds that no message reports.
    pub(crate) async fn until(&self, condition: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{condition}: not within {DEADLINE:?}"));
    }
}

/// The key of the owner's login in a session, and the purpose of the token for `/admin_socket`.
pub(crate) const SIGNED_IN: &str = "signed_in";

/// Returns a login of the owner until a time, as a session and a token contain it.
pub(crate) fn signed_in(login: &str, until_ms: i64) -> Value {
    json!({ "user": null, "id": login, "until_ms": until_ms })
}

/// Returns the connection of a page whose session has a login of the owner until a time.
pub(crate) fn session(login: &str, until_ms: i64) -> ConnectInfo {
    let session = json!({ SIGNED_IN: signed_in(login, until_ms) });
    ConnectInfo::new().with_session(session.as_object().unwrap().clone())
}

/// Returns the topic of a cart.
pub(crate) fn topic(cart: &CartId) -> String {
    format!("cart:{}", cart.as_str())
}

/// Returns the reason and the message of a refused request, both of which it must have.
pub(crate) fn refusal(answer: &Value) -> (&str, &str) {
    let object = answer.as_object().unwrap_or_else(|| panic!("{answer} is not an object"));
    assert_eq!(object.len(), 2, "{answer} has a reason and a message");
    (object["reason"].as_str().unwrap(), object["message"].as_str().unwrap())
}
