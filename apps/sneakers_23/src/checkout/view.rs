//! Carts and orders as people read them: names, prices, and their sum.
//!
//! Pages render carts, and the cart channel sends them as JSON; the owner reads the names. This file has no I/O.

use super::cart::Cart;
use super::purchase::{Line, Order};
use crate::catalog::{Cents, ItemId, ProductId};
use crate::inventory::Snapshot;
use serde::Serialize;

/// The lines of a cart, and the sum of those that can be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CartView {
    #[serde(rename = "items")]
    pub(crate) lines: Vec<LineView>,
    #[serde(rename = "subtotal_cents")]
    pub(crate) subtotal: Cents,
}

/// One pair of a cart or of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LineView {
    pub(crate) id: ItemId,
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) size: String,
    #[serde(rename = "price_cents")]
    pub(crate) price: Cents,
    #[serde(rename = "out")]
    pub(crate) is_out: bool,
}

impl CartView {
    pub(crate) fn new(cart: &Cart, shelf: &Snapshot) -> Self {
        let lines = cart.items().iter().filter_map(|id| LineView::of_item(*id, shelf)).collect();
        CartView { lines, subtotal: cart.subtotal(shelf) }
    }

    pub(crate) fn has_sold_out(&self) -> bool {
        self.lines.iter().any(|line| line.is_out)
    }

    /// Returns the number of pairs, as `2 pairs`.
    pub(crate) fn count_in_words(&self) -> String {
        match self.lines.len() {
            1 => "1 pair".to_owned(),
            count => format!("{count} pairs"),
        }
    }

    /// Returns the text by which the script finds that the page shows another cart than the channel: `fingerprint` in
    /// cart.js.
    pub(crate) fn fingerprint(&self) -> String {
        let line = |line: &LineView| format!("{}:{}:{}", line.id, line.price.0, line.state());
        self.lines.iter().map(line).collect::<Vec<_>>().join(" ")
    }
}

impl LineView {
    /// Returns an item at its present price.
    pub(crate) fn of_item(id: ItemId, shelf: &Snapshot) -> Option<Self> {
        let (item, product) = shelf.item_with_product(id)?;
        Some(LineView {
            id,
            product_id: product.id,
            name: product.name.clone(),
            size: item.size.clone(),
            price: product.price,
            is_out: item.available <= 0,
        })
    }

    /// Returns an item at the price for which it was bought.
    pub(crate) fn of_order(line: &Line, shelf: &Snapshot) -> Option<Self> {
        Some(LineView { price: line.price, is_out: false, ..LineView::of_item(line.item_id, shelf)? })
    }

    /// Returns the line that the script fills with an item.
    pub(crate) fn blank() -> Self {
        let (name, size) = (String::new(), String::new());
        LineView { id: ItemId(0), product_id: ProductId(1), name, size, price: Cents(0), is_out: false }
    }

    pub(crate) fn state(&self) -> &'static str {
        if self.is_out { "out" } else { "held" }
    }
}

/// Returns the items of an order in words, as `Shift Runner 9.5`.
pub(crate) fn names(order: &Order, shelf: &Snapshot) -> Vec<String> {
    let name = |id| match shelf.item_with_product(id) {
        Some((item, product)) => format!("{} {}", product.name, item.size),
        None => format!("item {id}"),
    };
    order.lines.iter().map(|line| name(line.item_id)).collect()
}
