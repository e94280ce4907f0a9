//! All products and items at one moment, and the changes between two of them.
//!
//! This file has no I/O. `inventory` keeps the newest snapshot; pages and channels read it. A snapshot is never
//! changed: [`Snapshot::merge`] returns a new one, in which each row is the newer of two copies by its version.

use crate::catalog::{Cents, Item, ItemId, Level, Product, ProductId};
use bennu::pubsub::Message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of the database, as they are after a committed change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Products.
    pub products: Vec<Product>,
    /// Items.
    pub items: Vec<Item>,
}

impl Message for Rows {
    const KIND: &'static str = "sneakers_23.inventory";
}

/// All products and items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    products: BTreeMap<ProductId, Product>,
    items: BTreeMap<ItemId, Item>,
}

/// A difference between two snapshots that shoppers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The items of a product can be bought.
    Released(ProductId),
    /// The items of a product can no longer be bought.
    Withdrawn(ProductId),
    /// A product has a new price.
    PriceChanged(ProductId, Cents),
    /// An item has a new stock level, and had the other one before.
    LevelChanged(ItemId, Level, Option<Level>),
}

impl Snapshot {
    /// Returns a snapshot of these rows.
    pub fn of(rows: &Rows) -> Self {
        Snapshot::default().merge(rows).unwrap_or_default()
    }

    /// Returns the products, in the order of their ids.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.values()
    }

    /// Returns the items of all products, in the order of their ids.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// Returns the items of one product, in the order of their ids, which is that of their sizes.
    pub fn items_of(&self, product: ProductId) -> impl Iterator<Item = &Item> {
        self.items().filter(move |item| item.product_id == product)
    }

    /// Returns a product.
    pub fn product(&self, id: ProductId) -> Option<&Product> {
        self.products.get(&id)
    }

    /// Returns an item.
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id)
    }

    /// Returns an item with its product.
    pub fn item_with_product(&self, id: ItemId) -> Option<(&Item, &Product)> {
        let item = self.item(id)?;
        Some((item, self.product(item.product_id)?))
    }

    /// Returns this snapshot with the rows that are newer than its own; `None` when none is.
    pub fn merge(&self, rows: &Rows) -> Option<Snapshot> {
        let mut merged = None;
        for product in &rows.products {
            if self.product(product.id).is_none_or(|own| own.version < product.version) {
                merged.get_or_insert_with(|| self.clone()).products.insert(product.id, product.clone());
            }
        }
        for item in &rows.items {
            if self.item(item.id).is_none_or(|own| own.version < item.version) {
                merged.get_or_insert_with(|| self.clone()).items.insert(item.id, item.clone());
            }
        }
        merged
    }

    /// Returns the events that turn `earlier` into this snapshot: releases before prices, prices before levels.
    pub fn events_since(&self, earlier: &Snapshot) -> Vec<Event> {
        let mut releases = Vec::new();
        let mut prices = Vec::new();
        for product in self.products() {
            let before = earlier.product(product.id);
            match (before.is_some_and(|before| before.released), product.released) {
                (false, true) => releases.push(Event::Released(product.id)),
                (true, false) => releases.push(Event::Withdrawn(product.id)),
                _ => {}
            }
            if before.is_some_and(|before| before.price != product.price) {
                prices.push(Event::PriceChanged(product.id, product.price));
            }
        }
        let levels = self.items().filter_map(|item| {
            let before = earlier.item(item.id).map(Item::level);
            (before != Some(item.level())).then(|| Event::LevelChanged(item.id, item.level(), before))
        });
        releases.into_iter().chain(prices).chain(levels).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(released: bool, version: i64) -> Product {
        Product { id: ProductId(1), name: "Shift Runner".to_owned(), price: Cents(12_000), released, version }
    }

    fn item(id: i64, available: i64, version: i64) -> Item {
        let size = "9.5".to_owned();
        Item { id: ItemId(id), product_id: ProductId(1), size, stocked: 600, available, version }
    }

    fn snapshot() -> Snapshot {
        let rows = Rows { products: vec![product(false, 1)], items: vec![item(1, 600, 5), item(2, 1, 5)] };
        Snapshot::default().merge(&rows).unwrap()
    }

    #[test]
    fn a_row_replaces_an_older_copy_and_never_a_newer_one() {
        let rows = Rows { items: vec![item(1, 400, 6), item(2, 9, 4)], ..Rows::default() };
        let merged = snapshot().merge(&rows).unwrap();
        assert_eq!((merged.item(ItemId(1)).unwrap().available, merged.item(ItemId(2)).unwrap().available), (400, 1));
        assert_eq!(merged.merge(&rows), None, "the same rows change nothing");
    }

    #[test]
    fn a_level_event_comes_only_when_the_level_changes() {
        let before = snapshot();
        let after = before.merge(&Rows { items: vec![item(1, 599, 6), item(2, 0, 6)], ..Rows::default() }).unwrap();
        assert_eq!(after.events_since(&before), [Event::LevelChanged(ItemId(2), Level::Out, Some(Level::Low))]);
    }

    #[test]
    fn a_subscriber_that_missed_snapshots_still_receives_every_difference() {
        let before = snapshot();
        let released = before.merge(&Rows { products: vec![product(true, 2)], ..Rows::default() }).unwrap();
        let after = released.merge(&Rows { items: vec![item(1, 100, 9)], ..Rows::default() }).unwrap();
        let expected = [Event::Released(ProductId(1)), Event::LevelChanged(ItemId(1), Level::Low, Some(Level::High))];
        assert_eq!(after.events_since(&before), expected);
        assert_eq!(before.events_since(&after)[0], Event::Withdrawn(ProductId(1)));
    }
}
