//! The announcer: turns the events of the domain into broadcasts to this node's clients.
//!
//! Every node announces for itself, after its own inventory has the change. So a channel that reads the inventory on an
//! announcement never reads an older state. Broadcasts between nodes would arrive before or after the inventory of
//! the other node.

use crate::catalog::{ItemId, Level};
use crate::checkout::{CartChange, CartId, Checkout, Order, Outcome, Purchase, PurchaseTokens, Settled};
use crate::inventory::{Changes, Event, Inventory, Snapshot};
use crate::sizes::sizes_html;
use bennu::error::BroadcastError;
use bennu::prelude::*;
use bennu::pubsub::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};

/// An item sold out, was restocked, or has another price. Cart channels subscribe to the items of their cart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemChanged {
    /// The item.
    pub item_id: ItemId,
}

impl ItemChanged {
    /// Returns the PubSub topic of an item.
    pub fn topic(item: ItemId) -> String {
        format!("item_out:{item}")
    }
}

impl Message for ItemChanged {
    const KIND: &'static str = "sneakers_23.item_changed";
}

/// The announcer of this node. Clones share it.
#[derive(Clone)]
pub struct Announcer {
    endpoint: Endpoint,
    purchases: PurchaseTokens,
    events: Arc<Mutex<Events>>,
}

/// The place in the events, which outlives a killed announcer.
struct Events {
    changes: Changes,
    settled: broadcast::Receiver<Arc<Settled>>,
}

impl Announcer {
    /// Creates an announcer of the events from now on.
    pub fn new(endpoint: Endpoint, purchases: PurchaseTokens, inventory: &Inventory, checkout: &Checkout) -> Self {
        let events = Events { changes: inventory.changes(), settled: checkout.settled() };
        Announcer { endpoint, purchases, events: Arc::new(Mutex::new(events)) }
    }

    /// Announces events. Never returns.
    pub async fn run(self) {
        let mut events = self.events.lock().await;
        let Events { changes, settled } = &mut *events;
        loop {
            tokio::select! {
                (shelf, events) = changes.next() => {
                    for event in events {
                        if let Err(error) = announce(&self.endpoint, &shelf, &event) {
                            tracing::error!(%error, ?event, "could not announce an event");
                        }
                    }
                }
                purchase = settled.recv() => match purchase {
                    Ok(settled) => self.announce_settled(&settled.purchase, &settled.outcome),
                    // The pages send their purchases again when they reconnect or are reloaded.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Sends the outcome of a purchase, which was unknown, to the pages of its cart.
    fn announce_settled(&self, purchase: &Purchase, outcome: &Outcome) {
        let (state, location) = match outcome {
            Outcome::Bought(order) => {
                remove_bought(&self.endpoint, order);
                ("bought", format!("/checkout/complete/{}", order.id))
            }
            Outcome::Refused(_) => ("refused", format!("/checkout/outcome?purchase={}", self.purchases.sign(purchase))),
        };
        let message = json!({ "id": purchase.id, "state": state, "location": location });
        if let Err(error) = self.endpoint.broadcast(&topic(&purchase.cart_id), "purchase", message) {
            tracing::warn!(%error, "could not send the outcome of a purchase to its pages");
        }
    }
}

fn announce(endpoint: &Endpoint, shelf: &Snapshot, event: &Event) -> Result<usize, BroadcastError> {
    let item_changed =
        |item_id| endpoint.pubsub().local_broadcast(&ItemChanged::topic(item_id), ItemChanged { item_id });
    match *event {
        Event::Released(id) => {
            let Some(product) = shelf.product(id) else { return Ok(0) };
            let released = json!({ "size_html": sizes_html(product, shelf) });
            endpoint.local_broadcast(&format!("product:{id}"), "released", released)
        }
        Event::Withdrawn(id) => endpoint.local_broadcast(&format!("product:{id}"), "withdrawn", json!({})),
        Event::PriceChanged(id, price) => {
            for item in shelf.items_of(id) {
                item_changed(item.id);
            }
            let changed = json!({ "product_id": id, "price_cents": price });
            endpoint.local_broadcast(&format!("product:{id}"), "price_change", changed)
        }
        Event::LevelChanged(item_id, level, was) => {
            let Some(item) = shelf.item(item_id) else { return Ok(0) };
            if level == Level::Out || was == Some(Level::Out) {
                item_changed(item_id);
            }
            let changed = json!({ "product_id": item.product_id, "item_id": item_id, "level": level });
            endpoint.local_broadcast(&format!("product:{}", item.product_id), "stock_change", changed)
        }
    }
}

/// Removes the items of an order from its cart, in all tabs of its shopper, on all nodes.
pub fn remove_bought(endpoint: &Endpoint, order: &Order) {
    change_cart(endpoint, &order.cart_id, CartChange::Bought(order.items()));
}

/// Sends a change of a cart that a form has made to the tabs of its shopper, on all nodes.
pub fn change_cart(endpoint: &Endpoint, cart: &CartId, change: CartChange) {
    if let Err(error) = endpoint.broadcast(&topic(cart), "cart_updated", &change) {
        tracing::warn!(%error, "could not send a change of a cart to its tabs");
    }
}

fn topic(cart: &CartId) -> String {
    format!("cart:{}", cart.as_str())
}
