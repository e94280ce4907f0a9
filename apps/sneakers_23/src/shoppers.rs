//! The shoppers of all nodes, by Presence: each tab is a presence at `admin:cart_tracker`, with the cart's id as key.
//!
//! Cart channels track; the owner's dashboard reads the counts.

use crate::catalog::ItemId;
use crate::checkout::CartId;
use bennu::Endpoint;
use bennu::error::PresenceError;
use bennu::presence::{Presence, PresenceOptions};
use bennu::tracker::PresenceGuard;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The topic of the presences.
pub const TOPIC: &str = "admin:cart_tracker";

/// The most shoppers whose presences are sent one by one; of more the owner gets counts.
pub const MAX_DETAILED: usize = 200;

/// One tab of a shopper, as the owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The path of the page.
    pub page: String,
    /// The time at which the page was loaded by the client's clock, in milliseconds since 1970.
    pub page_loaded_at: i64,
    /// The items of the cart.
    pub items: Vec<ItemId>,
}

/// The counts of all shoppers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The shoppers; several tabs of one are one.
    pub count: usize,
    /// The tabs by page.
    pub by_page: BTreeMap<String, usize>,
    /// The carts that hold an item, by its id.
    pub held: BTreeMap<ItemId, usize>,
    /// Whether the presences are sent one by one.
    pub detailed: bool,
}

/// The shoppers. Clones share them.
#[derive(Debug, Clone)]
pub struct Shoppers(Presence);

impl Shoppers {
    /// Starts the presence of an endpoint; at most once per endpoint.
    pub fn start(endpoint: &Endpoint) -> Self {
        let presence = Presence::start(endpoint, "shoppers", PresenceOptions::default(), ());
        Shoppers(presence.expect("the default options are consistent"))
    }

    /// Adds a tab of a shopper, for as long as the guard lives.
    ///
    /// # Errors
    /// [`PresenceError`]
    pub fn track(&self, cart: &CartId, visit: &Visit) -> Result<PresenceGuard, PresenceError> {
        self.0.track_at(TOPIC, cart.as_str(), visit)
    }

    /// Returns whether the shoppers are few enough to be sent one by one.
    pub fn are_few(&self) -> bool {
        self.0.key_count(TOPIC) <= MAX_DETAILED
    }

    /// Returns the presence, for its list.
    pub fn presence(&self) -> &Presence {
        &self.0
    }

    /// Counts the shoppers of all nodes. Takes a time proportional to their number.
    pub fn counts(&self) -> Counts {
        let snapshot = self.0.snapshot(TOPIC);
        let mut counts = Counts { detailed: self.are_few(), ..Counts::default() };
        let mut holders: BTreeSet<(ItemId, &str)> = BTreeSet::new();
        let mut keys: BTreeSet<&str> = BTreeSet::new();
        for presence in snapshot.iter() {
            let cart: &str = presence.key();
            keys.insert(cart);
            let Ok(visit) = presence.meta_as::<Visit>() else { continue };
            *counts.by_page.entry(visit.page).or_default() += 1;
            holders.extend(visit.items.into_iter().map(|item| (item, cart)));
        }
        counts.count = keys.len();
        for (item, _) in &holders {
            *counts.held.entry(*item).or_default() += 1;
        }
        counts
    }
}
