//! `admin:store`: the stock and the orders, and the owner's commands.

use crate::catalog::{Cents, ItemId, ProductId};
use crate::inventory::ChangeError;
use crate::socket::AdminSocket;
use bennu::prelude::*;
use serde::Deserialize;
use serde_json::Value;

/// The owner's view of the store.
pub struct AdminStoreChannel;

#[derive(Deserialize)]
struct Release {
    product_id: ProductId,
}

#[derive(Deserialize)]
struct Restock {
    item_id: ItemId,
    amount: i64,
}

#[derive(Deserialize)]
struct SetPrice {
    product_id: ProductId,
    price_cents: Cents,
}

impl Channel<AdminSocket> for AdminStoreChannel {
    async fn join(_topic: &str, _params: Payload, ctx: &mut Context<AdminSocket, Self>) -> Joined<Self> {
        let overview = ctx.state().dashboard.overview().await;
        ctx.state().dashboard.add_page();
        accept_with(AdminStoreChannel, &overview)
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<AdminSocket, Self>) -> Handled {
        let store = ctx.state();
        let done = match event {
            "release" => {
                let Release { product_id } = parsed(&payload).or_reply()?;
                store.inventory.release(product_id).await.map_err(refusal)
            }
            "restock" => {
                let Restock { item_id, amount } = parsed(&payload).or_reply()?;
                store.inventory.restock(item_id, amount).await.map_err(refusal)
            }
            "set_price" => {
                let SetPrice { product_id, price_cents } = parsed(&payload).or_reply()?;
                store.inventory.set_price(product_id, price_cents).await.map_err(refusal)
            }
            "sell_out" => store.sell_out.begin().map_err(|error| reason("not_released", &error)),
            "stop_sell_out" => {
                store.sell_out.stop();
                Ok(())
            }
            _ => return unhandled(event),
        };
        done.or_reply()?;
        tracing::info!(event, ?payload, "the owner changed the store");
        reply_ok(json!({}))
    }
}

fn parsed<T: serde::de::DeserializeOwned>(payload: &Payload) -> Result<T, Value> {
    payload.parse().map_err(|error| reason("invalid", &error))
}

fn refusal(error: ChangeError) -> Value {
    let name = match error {
        ChangeError::NoSuchProduct(_) | ChangeError::NoSuchItem(_) => "not_found",
        ChangeError::Amount(_) | ChangeError::Price(_) => "invalid",
        ChangeError::Database(_) => "database",
    };
    reason(name, &error)
}

fn reason(name: &str, error: &dyn std::error::Error) -> Value {
    json!({ "reason": name, "message": error.to_string() })
}
