//! The things that the store sells: products, their sizes, prices and stock levels.
//!
//! Pages, channels and commands parse their input into these types at the edge; everything behind the edge uses them.
//! This file has no I/O.

use derive_more::{Display, FromStr};
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::IntoStaticStr;

/// The id of a product, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, FromStr)]
#[serde(transparent)]
pub struct ProductId(pub i64);

/// The id of an item, which is one size of one product, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, FromStr)]
#[serde(transparent)]
pub struct ItemId(pub i64);

/// An amount of money, in cents of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

/// A model of shoe. It is sold by its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The id.
    pub id: ProductId,
    /// The name that shoppers read.
    pub name: String,
    /// The price of each of its items.
    #[serde(rename = "price_cents")]
    pub price: Cents,
    /// Whether its items can be bought.
    pub released: bool,
    /// The number of changes of this product; the larger one is newer.
    pub version: i64,
}

/// One size of a product, with its stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The id.
    pub id: ItemId,
    /// Its product.
    pub product_id: ProductId,
    /// The size that shoppers read, as `9.5`.
    pub size: String,
    /// The pairs that the store ever had of it.
    pub stocked: i64,
    /// The pairs that can be bought.
    pub available: i64,
    /// The number of changes of this item; the larger one is newer.
    pub version: i64,
}

impl Item {
    /// Returns the stock level that shoppers see.
    pub fn level(&self) -> Level {
        Level::of(self.available)
    }

    /// Returns the pairs that were bought.
    pub fn sold(&self) -> i64 {
        self.stocked - self.available
    }
}

/// A stock level. Shoppers see it in place of the number of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// No pair is left.
    Out,
    /// Fewer than 150 pairs are left.
    Low,
    /// Fewer than 500 pairs are left.
    Medium,
    /// 500 pairs or more are left.
    High,
}

impl Level {
    /// Returns the level of a number of available pairs.
    pub fn of(available: i64) -> Self {
        match available {
            ..=0 => Level::Out,
            1..150 => Level::Low,
            150..500 => Level::Medium,
            500.. => Level::High,
        }
    }

    /// Returns the level's name in pages and messages, as `low`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Cents {
    /// Writes dollars, as `$120.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl std::iter::Sum for Cents {
    fn sum<I: Iterator<Item = Cents>>(amounts: I) -> Cents {
        Cents(amounts.map(|amount| amount.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_change_at_one_150_and_500_pairs() {
        let levels = [0, 1, 149, 150, 499, 500, 1200].map(|available| Level::of(available).name());
        assert_eq!(levels, ["out", "low", "low", "medium", "medium", "high", "high"]);
    }

    #[test]
    fn money_is_written_in_dollars_with_two_digits_of_cents() {
        assert_eq!(
            [Cents(12_000), Cents(5), Cents(14_000_009)].map(|cents| cents.to_string()),
            ["$120.00", "$0.05", "$140000.09"]
        );
    }
}
