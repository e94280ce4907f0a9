//! A shopper without JavaScript: the pages and forms of the store over HTTP.

use sneakers_23::catalog::ItemId;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use test_program::visitor::{Reply, Visitor};

/// A shopper with a session and a cart. A clone is another window of the same browser.
#[derive(Clone)]
pub(crate) struct Shopper(Visitor);

impl Deref for Shopper {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl DerefMut for Shopper {
    fn deref_mut(&mut self) -> &mut Visitor {
        &mut self.0
    }
}

impl Shopper {
    /// Loads the store from a node, in a browser without cookies.
    pub(crate) async fn arrive(node: SocketAddr) -> Self {
        let mut shopper = Shopper(Visitor::new(node));
        assert_eq!(shopper.get("/").await.status, 200);
        shopper
    }

    /// Puts an item into the cart.
    pub(crate) async fn add(&mut self, item: ItemId) {
        let reply = self.post("/cart/add", &[("item_id", &item.to_string())]).await.unwrap();
        assert_eq!((reply.status, reply.header("location")), (303, Some("/#cart")), "{reply:?}");
    }

    /// Loads the checkout, and returns the purchase that it made.
    pub(crate) async fn check_out(&mut self) -> String {
        let page = self.get("/checkout").await;
        page.field("purchase").expect("the checkout has a form with a purchase")
    }

    /// Sends a purchase.
    ///
    /// # Errors
    /// [`io::Error`] when the node ends before it responds.
    pub(crate) async fn pay(&mut self, purchase: &str) -> io::Result<Reply> {
        self.post("/checkout", &[("purchase", purchase)]).await
    }

    /// Buys items, which must be in stock, and returns the order's page.
    pub(crate) async fn buy(&mut self, items: &[ItemId]) -> Reply {
        for item in items {
            self.add(*item).await;
        }
        let purchase = self.check_out().await;
        let paid = self.pay(&purchase).await.unwrap();
        assert_eq!(paid.status, 303, "{paid:?}");
        self.get(paid.header("location").unwrap()).await
    }
}
