//! `product:{id}`: the state of one product, and its changes. Clients only listen.
//!
//! The join's reply has the current state, so a client that was away is right after its rejoin. `announcer` broadcasts
//! the changes on each node, after the node's own inventory has them.

use crate::catalog::Product;
use crate::inventory::Snapshot;
use crate::sizes::sizes_html;
use crate::socket::ProductSocket;
use bennu::prelude::*;
use serde_json::{Map, Value};

/// A client that looks at one product.
pub struct ProductChannel;

impl Channel<ProductSocket> for ProductChannel {
    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<ProductSocket, Self>) -> Joined<Self> {
        let id: String = ctx.topic_part("id")?;
        let shelf = ctx.state().inventory.snapshot();
        // "01" and "+1" are numbers too, but changes are broadcast to "1".
        let product = shelf.products().find(|product| product.id.to_string() == id);
        let product = product.ok_or(json!({ "reason": "no_such_product" })).or_reply()?;
        let state = state_of(product, &shelf);
        accept_with(ProductChannel, state)
    }
}

/// Returns the reply to a join.
fn state_of(product: &Product, shelf: &Snapshot) -> Value {
    let levels: Map<String, Value> =
        shelf.items_of(product.id).map(|item| (item.id.to_string(), item.level().name().into())).collect();
    json!({
        "product_id": product.id,
        "released": product.released,
        "price_cents": product.price,
        "size_html": product.released.then(|| sizes_html(product, shelf)),
        "levels": levels,
    })
}
