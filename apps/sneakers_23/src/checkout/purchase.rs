//! A purchase, its outcome, and the token with which a page sends it.
//!
//! The checkout page makes a purchase with a random id, and signs it with the items and prices that the shopper sees. So
//! the shopper pays the shown price or is refused, and a form that is sent twice is one purchase. This file has no I/O.

use crate::catalog::{Cents, Item, ItemId};
use crate::checkout::CartId;
use crate::checkout::cart::MAX_ITEMS;
use crate::inventory::Snapshot;
use bennu::token::{Secret, Token};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use strum::IntoStaticStr;

/// The age at which the form of a checkout page ends.
const MAX_AGE: Duration = Duration::from_secs(86_400);

/// The purpose of a purchase's token.
const SALT: &str = "sneakers_23 purchase";

/// The digits of ids: without I, L, O and U, which are misread.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of a purchase, and of its order: 26 random characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurchaseId(pub(crate) String);

impl PurchaseId {
    /// The characters of an id.
    pub const LENGTH: usize = 26;

    /// Creates a random id.
    ///
    /// # Errors
    /// [`getrandom::Error`] if the system has no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; PurchaseId::LENGTH];
        getrandom::fill(&mut bytes)?;
        Ok(PurchaseId(bytes.map(|byte| char::from(DIGITS[usize::from(byte) % DIGITS.len()])).iter().collect()))
    }

    /// Returns the id of a text with the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == PurchaseId::LENGTH && text.bytes().all(|byte| DIGITS.contains(&byte));
        is_id.then(|| PurchaseId(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number that the shopper reads: the first ten characters, as `7F3K9-QX2M1`.
    pub fn number(&self) -> String {
        format!("{}-{}", &self.0[..5], &self.0[5..10])
    }
}

impl fmt::Display for PurchaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One pair of an item, at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The item.
    pub item_id: ItemId,
    /// The price that the shopper saw.
    pub price: Cents,
}

/// A shopper's wish to buy the items of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The id.
    pub id: PurchaseId,
    /// The cart that the items come from.
    pub cart_id: CartId,
    /// The items, each at most once.
    pub lines: Vec<Line>,
}

/// A purchase that was completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The id of the purchase.
    pub id: PurchaseId,
    /// The cart that the items came from.
    pub cart_id: CartId,
    /// The items, in the order of their ids.
    pub lines: Vec<Line>,
    /// The time of the purchase, in milliseconds since 1970.
    pub bought_at: i64,
}

impl Order {
    /// Returns the sum of the prices.
    pub fn total(&self) -> Cents {
        self.lines.iter().map(|line| line.price).sum()
    }

    /// Returns the items, in the order of their ids.
    pub fn items(&self) -> Vec<ItemId> {
        self.lines.iter().map(|line| line.item_id).collect()
    }
}

/// The final answer to a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All items were bought.
    Bought(Order),
    /// No item was bought.
    Refused(Refusal),
}

/// The reason why no item was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "reason", content = "items", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The purchase has no items.
    Empty,
    /// These items have no pair left.
    SoldOut(Vec<ItemId>),
    /// The products of these items are not released.
    NotReleased(Vec<ItemId>),
    /// These items have another price than the page showed, or do not exist any more.
    Changed(Vec<ItemId>),
    /// The purchase did not reach the database, and will not be made later.
    NotCompleted,
}

impl Refusal {
    /// Returns the reason's name in pages and messages, as `sold_out`.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Returns the items that the refusal is about.
    pub fn items(&self) -> &[ItemId] {
        match self {
            Refusal::SoldOut(items) | Refusal::NotReleased(items) | Refusal::Changed(items) => items,
            Refusal::Empty | Refusal::NotCompleted => &[],
        }
    }
}

impl Purchase {
    /// Creates a purchase of these items at their present prices. Unknown items are left out.
    ///
    /// # Errors
    /// [`getrandom::Error`] if the system has no random bytes.
    pub fn new(cart_id: CartId, items: &[ItemId], shelf: &Snapshot) -> Result<Self, getrandom::Error> {
        let priced = items.iter().filter_map(|id| shelf.item_with_product(*id));
        let lines = priced.map(|(item, product)| Line { item_id: item.id, price: product.price }).collect();
        Ok(Purchase { id: PurchaseId::random()?, cart_id, lines })
    }

    /// Returns the sum of the prices.
    pub fn total(&self) -> Cents {
        self.lines.iter().map(|line| line.price).sum()
    }

    /// Checks the purchase against the present prices, and against the stock that `item` returns.
    ///
    /// # Errors
    /// The [`Refusal`], for all items that it concerns.
    pub(crate) fn check<'a>(
        &self,
        item: impl Fn(ItemId) -> Option<&'a Item>,
        shelf: &'a Snapshot,
    ) -> Result<(), Refusal> {
        let product = |id| item(id).and_then(|item| shelf.product(item.product_id));
        let items_where = |is_meant: &dyn Fn(&Line) -> bool| -> Vec<ItemId> {
            self.lines.iter().filter(|line| is_meant(line)).map(|line| line.item_id).collect()
        };
        if self.lines.is_empty() {
            return Err(Refusal::Empty);
        }
        let not_released = items_where(&|line| product(line.item_id).is_some_and(|product| !product.released));
        if !not_released.is_empty() {
            return Err(Refusal::NotReleased(not_released));
        }
        let sold_out = items_where(&|line| item(line.item_id).is_some_and(|item| item.available <= 0));
        if !sold_out.is_empty() {
            return Err(Refusal::SoldOut(sold_out));
        }
        let changed = items_where(&|line| product(line.item_id).is_none_or(|product| product.price != line.price));
        if !changed.is_empty() {
            return Err(Refusal::Changed(changed));
        }
        Ok(())
    }

    /// Returns the order of this purchase. The time is in milliseconds since 1970.
    pub fn order(&self, bought_at: i64) -> Order {
        let mut lines = self.lines.clone();
        lines.sort_by_key(|line| line.item_id);
        Order { id: self.id.clone(), cart_id: self.cart_id.clone(), lines, bought_at }
    }

    /// Returns whether the lines are those of a cart: each item at most once, and not too many.
    fn is_well_formed(&self) -> bool {
        let mut items: Vec<_> = self.lines.iter().map(|line| line.item_id).collect();
        items.sort();
        items.dedup();
        items.len() == self.lines.len() && items.len() <= MAX_ITEMS && PurchaseId::parse(self.id.as_str()).is_some()
    }
}

/// Signs purchases for the form of the checkout page, and verifies them.
#[derive(Clone)]
pub struct PurchaseTokens(Secret);

impl PurchaseTokens {
    /// Creates tokens that are signed with a secret.
    pub fn new(secret: Secret) -> Self {
        PurchaseTokens(secret)
    }

    /// Returns the purchase as a signed text, valid for one day.
    pub fn sign(&self, purchase: &Purchase) -> String {
        self.token().sign(purchase).expect("a purchase of 26 items is far below the limit of a token")
    }

    /// Returns the purchase of a signed text; `None` when the text is invalid, expired, or has too many items.
    pub fn verify(&self, token: &str) -> Option<Purchase> {
        self.token().verify(token).ok().filter(Purchase::is_well_formed)
    }

    fn token(&self) -> Token<'_> {
        Token::new(&self.0, SALT).max_age(MAX_AGE)
    }
}
