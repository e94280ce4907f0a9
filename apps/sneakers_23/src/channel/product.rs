//! `product:{id}`: the state of one product, and its changes. Clients only listen.
//!
//! The join's reply has the current state, so a client that was away is right after its rejoin. `announcer` broadcasts
//! the changes on each node, after the node's own inventory has them.

use crate::catalog::ProductId;
use crate::inventory::Snapshot;
use crate::socket::ProductSocket;
use crate::web;
use bennu::prelude::*;
use serde_json::{Map, Value};

/// A client that looks at one product.
pub struct ProductChannel;

impl Channel<ProductSocket> for ProductChannel {
    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<ProductSocket, Self>) -> Joined<Self> {
        let id = ctx.topic_part("id")?;
        let shelf = ctx.state().inventory.snapshot();
        let state = state_of(id, &shelf).ok_or(json!({ "reason": "no_such_product" })).or_reply()?;
        accept_with(ProductChannel, state)
    }
}

/// Returns the reply to a join.
fn state_of(id: ProductId, shelf: &Snapshot) -> Option<Value> {
    let product = shelf.product(id)?;
    let levels: Map<String, Value> =
        shelf.items_of(id).map(|item| (item.id.to_string(), item.level().name().into())).collect();
    Some(json!({
        "product_id": id,
        "released": product.released,
        "price_cents": product.price,
        "size_html": product.released.then(|| web::sizes_html(product, shelf)),
        "levels": levels,
    }))
}
