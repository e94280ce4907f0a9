//! `cart:{id}`: the cart of one shopper, in one or more tabs.
//!
//! A client joins with the cart that its browser has kept, and gets it back after each change, signed. The channel
//! subscribes to the items of the cart, so that an item is shown as sold out at once. Another tab of the shopper gets
//! each change by `cart_updated`. The shopper is present at `admin:cart_tracker` for as long as the channel lives.

use crate::announcer::ItemChanged;
use crate::catalog::ItemId;
use crate::checkout::{Cart, CartChange, CartView};
use crate::database::now_ms;
use crate::shoppers::Visit;
use crate::socket::ProductSocket;
use crate::store::Store;
use bennu::prelude::*;
use bennu::tracker::PresenceGuard;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The changes of a cart that a client may make at once, and the time after which it may make one more.
const MAX_CHANGES: u32 = 30;
const CHANGE_EVERY: Duration = Duration::from_millis(100);

/// The largest difference between a client's clock and the server's.
const MAX_CLOCK_ERROR_MS: u64 = 365 * 86_400_000;

/// The most characters of a client's text that a message repeats.
const MAX_SHOWN: usize = 40;

/// The pages of a shopper.
const PAGES: [&str; 3] = ["/", "/checkout", "/checkout/complete"];

/// One tab of a shopper.
pub struct CartChannel {
    cart: Cart,
    visit: Visit,
    presence: PresenceGuard,
    /// The time at which all changes are allowed again.
    changes_until: Instant,
    has_been_too_fast: bool,
}

#[derive(Deserialize)]
struct Params {
    serialized: Option<String>,
    page: String,
    page_loaded_at: i64,
    purchase: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    item_id: ItemId,
}

/// The cart as the page gets it.
#[derive(Serialize)]
struct State {
    #[serde(flatten)]
    view: CartView,
    serialized: String,
}

impl Channel<ProductSocket> for CartChannel {
    const INTERCEPT: &'static [&'static str] = &["cart_updated"];

    async fn join(_topic: &str, params: Payload, ctx: &mut Context<ProductSocket, Self>) -> Joined<Self> {
        let id: String = ctx.topic_part("id")?;
        let Some(id) = ctx.socket.cart_id.as_ref().filter(|own| own.as_str() == id) else {
            let has_session = ctx.socket.cart_id.is_some();
            tracing::warn!(has_session, "a client asked for the cart of another session");
            return refuse(json!({ "reason": "not_your_cart" }));
        };
        let params: Params = params.parse().map_err(|error| invalid(&error.to_string())).or_reply()?;
        let store = ctx.state();
        let cart = store.carts.restore(params.serialized.as_deref());
        let visit = visit(&params, &cart).map_err(|error| invalid(&error)).or_reply()?;
        // Before the cart is read for the client, so that no change is missed.
        for item in cart.items() {
            ctx.subscribe::<ItemChanged>(&ItemChanged::topic(*item));
        }
        let purchase = params.purchase.and_then(|token| store.purchases.verify(&token));
        if let Some(purchase) = purchase.filter(|purchase| purchase.cart_id == *id) {
            // The announcer sends the outcome to this channel, as soon as it is known.
            store.checkout.settle(&purchase);
        }
        let presence = store.shoppers.track(id, &visit)?;
        accept(CartChannel { cart, visit, presence, changes_until: Instant::now(), has_been_too_fast: false })
    }

    async fn joined(&mut self, ctx: &mut Context<ProductSocket, Self>) -> Flow {
        self.push(ctx)?;
        noreply()
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<ProductSocket, Self>) -> Handled {
        if !matches!(event, "add_item" | "remove_item") {
            return unhandled(event);
        }
        self.count_change().or_reply()?;
        let Change { item_id } = payload.parse().map_err(|error| invalid(&error.to_string())).or_reply()?;
        let (changed, change) = match event {
            "add_item" => (self.cart.add(item_id, &ctx.state().inventory.snapshot()), CartChange::Add(item_id)),
            _ => (self.cart.remove(item_id), CartChange::Remove(item_id)),
        };
        changed.map_err(|error| json!({ "reason": error.reason(), "message": error.to_string() })).or_reply()?;
        self.follow(ctx)?;
        ctx.broadcast_from("cart_updated", &change)?;
        reply_ok(&self.state(ctx.state()))
    }

    async fn handle_out(&mut self, _event: &str, payload: Payload, ctx: &mut Context<ProductSocket, Self>) -> Flow {
        self.cart.apply(&payload.parse()?);
        self.follow(ctx)?;
        self.push(ctx)?;
        noreply()
    }
}

impl HandleInfo<ProductSocket, ItemChanged> for CartChannel {
    async fn handle_info(&mut self, _: ItemChanged, ctx: &mut Context<ProductSocket, Self>) -> Flow {
        self.push(ctx)?;
        noreply()
    }
}

impl CartChannel {
    /// Subscribes to the items of the cart and shows them to the owner, after a change.
    fn follow(&mut self, ctx: &Context<ProductSocket, Self>) -> Result<(), Crash> {
        let before = std::mem::replace(&mut self.visit.items, self.cart.items().to_vec());
        for item in before.iter().filter(|item| !self.visit.items.contains(item)) {
            ctx.unsubscribe(&ItemChanged::topic(*item));
        }
        for item in self.visit.items.iter().filter(|item| !before.contains(item)) {
            ctx.subscribe::<ItemChanged>(&ItemChanged::topic(*item));
        }
        self.presence.update(&self.visit)?;
        Ok(())
    }

    fn push(&self, ctx: &Context<ProductSocket, Self>) -> Result<(), Crash> {
        ctx.push("cart", &self.state(ctx.state()))?;
        Ok(())
    }

    fn state(&self, store: &Store) -> State {
        let view = CartView::new(&self.cart, &store.inventory.snapshot());
        State { view, serialized: store.carts.serialize(&self.cart) }
    }

    /// Counts a change against the limit of this client.
    fn count_change(&mut self) -> Result<(), Value> {
        let now = Instant::now();
        let until = self.changes_until.max(now) + CHANGE_EVERY;
        if until > now + CHANGE_EVERY * MAX_CHANGES {
            if !std::mem::replace(&mut self.has_been_too_fast, true) {
                tracing::warn!("a client changes its cart more than ten times a second");
            }
            return Err(json!({ "reason": "too_fast", "message": "That was very fast. Wait a second and try again." }));
        }
        self.changes_until = until;
        Ok(())
    }
}

fn visit(params: &Params, cart: &Cart) -> Result<Visit, String> {
    let Some(page) = PAGES.iter().find(|page| **page == params.page) else {
        let shown: String = params.page.chars().take(MAX_SHOWN).collect();
        return Err(format!("{shown:?} is not a page: it must be one of {}", PAGES.join(", ")));
    };
    if params.page_loaded_at.abs_diff(now_ms()) > MAX_CLOCK_ERROR_MS {
        return Err(format!("{} is not a time of this year, in milliseconds since 1970", params.page_loaded_at));
    }
    let (page, items) = ((*page).to_owned(), cart.items().to_vec());
    Ok(Visit { page, page_loaded_at: params.page_loaded_at, items })
}

fn invalid(message: &str) -> Value {
    json!({ "reason": "invalid", "message": message })
}
