//! A shopper's cart: items, each at most once. The shopper's browser keeps it, as a signed text.
//!
//! This file has no I/O. The cart channel and the forms change carts; a cart that is invalid or older than seven days
//! is an empty one, never an error.

use crate::catalog::{Cents, ItemId};
use crate::inventory::Snapshot;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu::token::{Secret, Token};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The most items of a cart: every size of every product once.
pub const MAX_ITEMS: usize = 26;

/// The age at which a serialized cart ends.
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

/// The purpose of a cart's token.
const SALT: &str = "sneakers_23 cart";

/// The id of a cart: 64 random characters of URL-safe base64, from the session of the shopper.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CartId(pub(crate) String);

impl CartId {
    /// The characters of an id.
    pub const LENGTH: usize = 64;

    /// Creates a random id.
    ///
    /// # Errors
    /// [`getrandom::Error`] if the system has no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; CartId::LENGTH / 4 * 3];
        getrandom::fill(&mut bytes)?;
        Ok(CartId(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the id of a text with the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_of_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_id = text.len() == CartId::LENGTH && text.bytes().all(is_of_base64);
        is_id.then(|| CartId(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The items of a shopper, in the order of their ids: two tabs that change the cart at the same time end up with the
/// same cart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cart {
    items: Vec<ItemId>,
}

/// A change of a cart, as one tab announces it to the others. Changes of two tabs lead to the same cart in any order,
/// unless both concern the same item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change", content = "items")]
pub enum CartChange {
    /// An item was added.
    Add(ItemId),
    /// An item was removed.
    Remove(ItemId),
    /// These items were bought. Others, which were added after the checkout page was made, stay.
    Bought(Vec<ItemId>),
}

/// A change of a cart that did not happen. `Display` is a sentence for the shopper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum CartError {
    /// The cart has that item.
    #[error("This size is in your cart already: one pair of each size.")]
    DuplicateItem,
    /// There is no such item, or the cart does not have it.
    #[error("This size is not in the store or not in your cart.")]
    NotFound,
    /// The item has no pair left.
    #[error("This size has just sold out.")]
    OutOfStock,
    /// The item's product is not released.
    #[error("This shoe is not released yet.")]
    NotReleased,
    /// The cart has [`MAX_ITEMS`] items.
    #[error("Your cart is full: it holds {MAX_ITEMS} pairs.")]
    CartFull,
}

impl CartError {
    /// Returns the reason on the wire, as `out_of_stock`.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

impl Cart {
    /// Returns the items, in the order of their ids.
    pub fn items(&self) -> &[ItemId] {
        &self.items
    }

    /// Adds an item that can be bought now.
    ///
    /// # Errors
    /// [`CartError`]
    pub fn add(&mut self, id: ItemId, shelf: &Snapshot) -> Result<(), CartError> {
        let (item, product) = shelf.item_with_product(id).ok_or(CartError::NotFound)?;
        let Err(index) = self.items.binary_search(&id) else { return Err(CartError::DuplicateItem) };
        if !product.released {
            return Err(CartError::NotReleased);
        }
        if item.available <= 0 {
            return Err(CartError::OutOfStock);
        }
        if self.items.len() >= MAX_ITEMS {
            return Err(CartError::CartFull);
        }
        self.items.insert(index, id);
        Ok(())
    }

    /// Removes an item.
    ///
    /// # Errors
    /// [`CartError::NotFound`]
    pub fn remove(&mut self, id: ItemId) -> Result<(), CartError> {
        let index = self.items.binary_search(&id).map_err(|_| CartError::NotFound)?;
        self.items.remove(index);
        Ok(())
    }

    /// Applies a change that another tab has made and checked. A change that was applied already is ignored.
    pub fn apply(&mut self, change: &CartChange) {
        match change {
            CartChange::Add(id) => {
                if let Err(index) = self.items.binary_search(id)
                    && self.items.len() < MAX_ITEMS
                {
                    self.items.insert(index, *id);
                }
            }
            CartChange::Remove(id) => self.items.retain(|item| item != id),
            CartChange::Bought(items) => self.items.retain(|item| !items.contains(item)),
        }
    }

    /// Returns the sum of the prices of the items that can be bought.
    pub fn subtotal(&self, shelf: &Snapshot) -> Cents {
        let priced = self.items.iter().filter_map(|id| shelf.item_with_product(*id));
        priced.filter(|(item, _)| item.available > 0).map(|(_, product)| product.price).sum()
    }
}

/// Writes carts as signed texts and reads them.
#[derive(Clone)]
pub struct Carts(Secret);

impl Carts {
    /// Creates carts that are signed with a secret.
    pub fn new(secret: Secret) -> Self {
        Carts(secret)
    }

    /// Returns the cart as a signed text, valid for seven days.
    pub fn serialize(&self, cart: &Cart) -> String {
        self.token().sign(cart).expect("a cart of 26 numbers is far below the limit of a token")
    }

    /// Returns the cart of a signed text. A missing, invalid or expired one is an empty cart, and items that a cart
    /// cannot hold are left out.
    pub fn restore(&self, serialized: Option<&str>) -> Cart {
        let mut cart: Cart = serialized.and_then(|text| self.token().verify(text).ok()).unwrap_or_default();
        cart.items.sort();
        cart.items.dedup();
        cart.items.truncate(MAX_ITEMS);
        cart
    }

    fn token(&self) -> Token<'_> {
        Token::new(&self.0, SALT).max_age(MAX_AGE)
    }
}
